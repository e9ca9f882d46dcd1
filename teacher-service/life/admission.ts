import type { Model } from "./model.ts";

/**
 * Waits for a model's turn to be loaded, and for memory.
 *
 * @param tell what it waits for, and for about how many seconds
 * @returns to be called when the load has ended
 * @throws NoMemory for one that is loaded `atStart` and does not fit
 */
export type Admit = (
  model: Model,
  o: { atStart: boolean; tell: (why: string, seconds: number) => void },
) => Promise<(loaded?: { bytesBefore: number }) => Promise<void>>;

/** There is no memory for a model that nobody waits for yet. */
export class NoMemory extends Error {
  override name = "NoMemory";
}
