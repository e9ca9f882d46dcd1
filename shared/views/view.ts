import { type CropRange, centralCrop, inceptionCrop, randomCrop } from "./crop.ts";
import type { Draws } from "./draws.ts";
import type { Box, Image } from "./image.ts";
import { resize, resizeBilinear } from "./resize.ts";
import { resizeSmall } from "./resize-small.ts";

/**
 * How training looks at an image: "ic" the inception crop, "rc" the mild crop, both flipping every second image;
 * "rs" the whole picture resized, without a draw.
 */
export type ViewKind = "rs" | "rc" | "ic";

/** What was drawn for one view: it can be written at several resolutions, for two who are to see the same. */
export interface Framing {
  /** What is cut out of the picture, or out of the square. */
  box: Box;
  /** Whether the whole picture is resized to a square first, of which `box` takes 128 of 160 parts. */
  square: boolean;
  flip: boolean;
}

/** The side from which a crop of `resolution` is cut: 160 for 128, the paper's ratio. */
export function uncroppedSide(resolution: number): number {
  return Math.round((resolution * 160) / 128);
}

/**
 * Draws how a picture is seen: the crop first, then the flip.
 *
 * @param resolution side of the view that the draw is made for; the mild crop has so many places
 */
export function drawFraming(
  kind: ViewKind,
  picture: { height: number; width: number },
  d: Draws,
  resolution: number,
  crop?: CropRange,
): Framing {
  const { height, width } = picture;
  switch (kind) {
    case "rs":
      return { box: { y: 0, x: 0, height, width }, square: false, flip: false };
    case "rc": {
      const side = uncroppedSide(resolution);
      const box = randomCrop(d, side, side, resolution);
      return { box, square: true, flip: d.below(2) === 1 };
    }
    case "ic": {
      const box = inceptionCrop(d, height, width, crop);
      return { box, square: false, flip: d.below(2) === 1 };
    }
    default:
      return kind satisfies never;
  }
}

/**
 * Writes what a framing shows, uint8 [resolution, resolution, 3], into `out` from `offset` on. The mild crop resizes
 * the whole picture to a square, then cuts from it; at another resolution than it was drawn for, the cut lies within
 * half a pixel of the same place.
 */
export function writeFramed(
  image: Image,
  { box, square, flip }: Framing,
  resolution: number,
  out: Uint8Array,
  offset: number,
): void {
  if (!square) {
    resizeBilinear(image, box, resolution, resolution, flip, out, offset);
    return;
  }
  const side = uncroppedSide(resolution);
  const place = (at: number) => Math.min(Math.round((at * resolution) / box.height), side - resolution);
  const scaled = { y: place(box.y), x: place(box.x), height: resolution, width: resolution };
  cut(resize(image, side, side), scaled, flip, out, offset);
}

/**
 * Draws and writes one random training view.
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
  writeFramed(image, drawFraming(kind, image, d, resolution, crop), resolution, out, offset);
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
