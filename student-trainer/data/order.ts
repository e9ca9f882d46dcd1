import { draws, permutation } from "@funmatch/views";

/** One image of a training batch: its number in the source, and in which pass over the source it is used. */
export interface Example {
  /** From 0. */
  epoch: number;
  index: number;
}

/** Orders of recent epochs; steps prepared ahead of time and several threads ask for neighbours of each other. */
const recent = new Map<string, Uint32Array>();
const KEPT = 4;

/** The order of an epoch: the permutation of 0 … size-1 that the stream (seed, "order", epoch) draws. */
export function orderOf(seed: number, epoch: number, size: number): Uint32Array {
  const key = `${seed} ${epoch} ${size}`;
  let order = recent.get(key);
  if (order === undefined) {
    order = permutation(draws(seed, "order", epoch), size);
    for (const oldest of [...recent.keys()].slice(0, Math.max(0, recent.size - KEPT + 1)))
      recent.delete(oldest);
    recent.set(key, order);
  }
  return order;
}

/**
 * The examples of a training step (the first step is 1). Epochs follow each other without a seam: step s takes
 * examples (s-1)*batch … s*batch-1 of the endless row, so every image is used exactly once an epoch, whatever the
 * batch size, and any step can be made without the ones before it.
 */
export function examplesOf(seed: number, step: number, batch: number, size: number): Example[] {
  if (!Number.isSafeInteger(step) || step < 1)
    throw new RangeError(`Steps count from 1; there is no step ${step}`);
  const first = (step - 1) * batch;
  return Array.from({ length: batch }, (_, i) => {
    const epoch = Math.floor((first + i) / size);
    return { epoch, index: orderOf(seed, epoch, size)[(first + i) % size]! };
  });
}
