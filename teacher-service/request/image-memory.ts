import { pageAligned } from "./page-aligned.ts";

/** Most bytes that are kept for later requests. */
const MOST_BYTES = 64 * 2 ** 20;

const kept: Uint8Array<SharedArrayBuffer>[] = [];
let keptBytes = 0;

/**
 * Memory for a request's images, which the model's thread reads where it lies. Requests of one run are all of one
 * size, so memory of exactly that size is often there already; fresh memory costs as much again as filling it, since
 * the system zeroes it page by page, and it is the garbage collector that returns it.
 *
 * @returns `bytes` bytes of whatever content: the caller overwrites them all before anybody reads them
 */
export function takeImageMemory(bytes: number): Uint8Array<SharedArrayBuffer> {
  const at = kept.findLastIndex((memory) => memory.length === bytes);
  if (at < 0) return pageAligned(bytes);
  keptBytes -= bytes;
  return kept.splice(at, 1)[0]!;
}

/** Gives memory back that nobody reads any more: no forward pass may be waiting for it, or under way. */
export function giveImageMemory(memory: Uint8Array<SharedArrayBuffer>): void {
  if (memory.length > MOST_BYTES) return;
  kept.push(memory);
  keptBytes += memory.length;
  while (keptBytes > MOST_BYTES) keptBytes -= kept.shift()!.length;
}
