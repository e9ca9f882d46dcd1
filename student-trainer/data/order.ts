import { draws } from "@funmatch/views";
import { bijection } from "./bijection.ts";

/** One image of a training batch: its number in the source, and in which pass over the source it is used. */
export interface Example {
  /** From 0. */
  epoch: number;
  index: number;
}

/** The order of an epoch, from its position to an image: keyed by the stream (seed, "order", epoch). */
export function orderOf(seed: number, epoch: number, size: number): (position: number) => number {
  return bijection(draws(seed, "order", epoch), size);
}

/**
 * The examples of a training step (the first step is 1). Epochs follow each other without a seam: step s takes
 * examples (s-1)*batch … s*batch-1 of the endless row, so every image is used exactly once an epoch, whatever the
 * batch size, and any step can be made without the ones before it. Its cost does not depend on the size of the source.
 */
export function examplesOf(seed: number, step: number, batch: number, size: number): Example[] {
  if (!Number.isSafeInteger(step) || step < 1)
    throw new RangeError(`Steps count from 1; there is no step ${step}`);
  const first = (step - 1) * batch;
  let epoch = Math.floor(first / size);
  let order = orderOf(seed, epoch, size);
  return Array.from({ length: batch }, (_, i) => {
    const position = first + i - epoch * size;
    if (position < size) return { epoch, index: order(position) };
    order = orderOf(seed, ++epoch, size);
    return { epoch, index: order(0) };
  });
}
