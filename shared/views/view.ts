import { type CropRange, centralCrop, inceptionCrop, randomCrop } from "./crop.ts";
import type { Draws } from "./draws.ts";
import type { Box, Image } from "./image.ts";
import { resize, resizeBilinear } from "./resize.ts";
import { resizeSmall } from "./resize-small.ts";

/** How training looks at an image: "ic" the inception crop, "rc" the mild crop; both flip every second image. */
export type ViewKind = "ic" | "rc";

/** The side from which a crop of `resolution` is cut: 160 for 128, the paper's ratio. */
export function uncroppedSide(resolution: number): number {
  return Math.round((resolution * 160) / 128);
}

/**
 * Writes one random training view, uint8 [resolution, resolution, 3], into `out` from `offset` on.
 * The crop is drawn first, then the flip. The mild crop resizes the whole picture to a square, then cuts from it.
 *
 * @example
 * writeView("ic", image, draws(seed, "view", epoch, index), 64, batch, place * 64 * 64 * 3);
 */
export function writeView(
  kind: ViewKind,
  image: Image,
  d: Draws,
  resolution: number,
  out: Uint8Array,
  offset: number,
  crop?: CropRange,
): void {
  if (kind === "ic") {
    const box = inceptionCrop(d, image.height, image.width, crop);
    resizeBilinear(image, box, resolution, resolution, d.below(2) === 1, out, offset);
    return;
  }
  const side = uncroppedSide(resolution);
  const box = randomCrop(d, side, side, resolution);
  cut(resize(image, side, side), box, d.below(2) === 1, out, offset);
}

/** Writes the view of an evaluation: the middle of the picture, its shorter side resized to `side` pixels. */
export function writeCentralView(
  image: Image,
  resolution: number,
  out: Uint8Array,
  offset: number,
  side = uncroppedSide(resolution),
): void {
  const small = resizeSmall(image, side);
  cut(small, centralCrop(small.height, small.width, resolution), false, out, offset);
}

/** Copies a box, since resizing to the same size changes nothing. */
function cut(image: Image, box: Box, flip: boolean, out: Uint8Array, offset: number): void {
  resizeBilinear(image, box, box.height, box.width, flip, out, offset);
}
