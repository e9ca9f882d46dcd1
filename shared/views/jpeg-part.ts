import type { Box } from "./image.ts";
import { sizeOfUprightJpeg } from "./jpeg-header.ts";
import { nativePictures } from "./native.ts";
import { type Framing, writeFramed } from "./view.ts";

/** A view that is to be written: what it shows, at which side, and where its bytes go. */
export interface PlacedView {
  framing: Framing;
  resolution: number;
  out: Uint8Array;
  offset: number;
}

/** Pixels beside a box that the smoothing of colour channels of half the width looks at. */
const MARGIN = 2;

/** Decoded pixels, kept between calls. */
let pixels = new Uint8Array(0);

/**
 * Writes views of a picture from its JPEG file, of which it decodes no more than they show: the same bytes as
 * `decode` and `writeFramed` give. It is for files that have been decoded whole before: damage outside the views goes
 * unseen.
 *
 * @param viewsOf draws the views, told the picture's size
 * @returns false if it wrote nothing of use: no JPEG, turned by its Exif, damaged, or the engine lacks the functions
 */
export function writeFromJpeg(
  bytes: Uint8Array,
  viewsOf: (picture: { height: number; width: number }) => PlacedView[],
): boolean {
  const native = nativePictures();
  const size = native && sizeOfUprightJpeg(bytes);
  if (native === undefined || size === undefined) return false;
  const views = viewsOf(size);
  const part = partOf(
    views.map(({ framing }) => framing),
    size,
  );
  const needed = part.height * part.width * 3;
  if (pixels.length < needed) pixels = new Uint8Array(needed);
  if (!native.decode(bytes, part.y, part.x, part.height, part.width, pixels)) return false;
  const image = { height: part.height, width: part.width, data: pixels };
  for (const { framing, resolution, out, offset } of views) {
    const { box, square, flip } = framing;
    const inside = square ? box : { ...box, y: box.y - part.y, x: box.x - part.x };
    writeFramed(image, { box: inside, square, flip }, resolution, out, offset);
  }
  return true;
}

/** What must be decoded for all framings. */
function partOf(framings: Framing[], { height, width }: { height: number; width: number }): Box {
  const whole = { y: 0, x: 0, height, width };
  const boxes = framings.map(({ box, square }) => (square ? whole : box));
  const y = Math.min(...boxes.map((box) => box.y));
  const x = Math.max(0, Math.min(...boxes.map((box) => box.x)) - MARGIN);
  const bottom = Math.max(...boxes.map((box) => box.y + box.height));
  const right = Math.min(width, Math.max(...boxes.map((box) => box.x + box.width)) + MARGIN);
  return { y, x, height: bottom - y, width: right - x };
}
