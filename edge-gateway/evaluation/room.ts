import { openTally } from "../tally.ts";

/** An isolate of 128 MB has this much for the bodies and answers that it holds whole; what does not fit is streamed. */
const ROOM_BYTES = 64 * 1024 * 1024;
const held = openTally();

/**
 * Reserves memory for so many bytes.
 *
 * @param until when it is free again in any case (Unix milliseconds)
 * @returns a function that gives it back; undefined if there is no room
 * @example
 * const giveBack = takeRoom(incoming.length, Date.now() + deadline.left());
 */
export function takeRoom(bytes: number, until: number): (() => void) | undefined {
  return held.sum() + bytes > ROOM_BYTES ? undefined : held.take(bytes, until);
}
