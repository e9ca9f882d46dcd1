import { UserError } from "@funmatch/config";

/** Part of a split: "[from:to]", each a number of images or a percentage, from the end if negative. */
export const SLICE = /^\[(-?\d+(?:\.\d+)?%|-?\d+)?:(-?\d+(?:\.\d+)?%|-?\d+)?\]$/;

/**
 * The bounds of a part of `size` images: the first, and the one after the last. They are those of TensorFlow
 * Datasets: a percentage is rounded to the nearest image, halves to the even one, so that [:90%] and [90%:] share
 * none and leave none out.
 *
 * @param name of the part, for messages
 * @throws UserError if the part is not written as {@link SLICE}, reaches beyond the images or holds none.
 */
export function boundsOfSlice(slice: string, size: number, name = "split"): [from: number, to: number] {
  const written = SLICE.exec(slice);
  if (!written) throw new UserError(`${name}: ${slice} is not a part such as [:90%], [90%:] or [100:200]`);
  const from = boundOf(written[1] ?? "0", slice, size, name);
  const to = boundOf(written[2] ?? "100%", slice, size, name);
  if (from >= to) throw new UserError(`${name}: ${slice} of ${size} images holds none`);
  return [from, to];
}

function boundOf(bound: string, slice: string, size: number, name: string): number {
  const images = bound.endsWith("%") ? roundToEven((Number.parseFloat(bound) * size) / 100) : Number(bound);
  if (Math.abs(images) > size) throw new UserError(`${name}: ${slice} reaches beyond the ${size} images`);
  return images < 0 ? size + images : images;
}

function roundToEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}
