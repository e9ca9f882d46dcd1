import type { Draws } from "@funmatch/views";

/**
 * Rounds of the network. A few are enough for large sizes; the small ones, whose halves have one or two bits, need
 * more until every order is as likely as another (test/data/bijection.test.ts).
 */
const ROUNDS = 20;
const LARGEST = 2 ** 32;

/**
 * A seeded order of 0 … size-1 that is never written down: answers which number is at a position, and no two
 * positions have the same. It takes the same time and memory for ten images as for ten million.
 *
 * This is a Feistel network over the smallest power of two that holds `size`, keyed by the stream's next words; a
 * result outside the range goes through it again until it is inside (cycle walking: fewer than two passes on average).
 *
 * @example
 * const at = bijection(draws(0, "order", 7), 1000);
 * at(0); // the number that comes first
 */
export function bijection(stream: Draws, size: number): (position: number) => number {
  if (!Number.isInteger(size) || size < 1 || size > LARGEST)
    throw new RangeError(`An order has 1 to 2^32 numbers, not ${size}`);
  const keys = Uint32Array.from({ length: ROUNDS }, () => stream.uint32());
  const bits = Math.max(2, Math.ceil(Math.log2(size)));
  const lowBits = bits >>> 1;
  const lowMask = 2 ** lowBits - 1;
  const highMask = 2 ** (bits - lowBits) - 1;

  function pass(number: number): number {
    let low = number & lowMask;
    let high = (number >>> lowBits) & highMask;
    for (let round = 0; round < ROUNDS; round += 2) {
      high ^= mixed(low, keys[round]!) & highMask;
      low ^= mixed(high, keys[round + 1]!) & lowMask;
    }
    return ((high << lowBits) | low) >>> 0;
  }

  return (position) => {
    let number = pass(position);
    while (number >= size) number = pass(number);
    return number;
  };
}

/** 32 well mixed bits of a half and a key (the finalizer of MurmurHash3). */
function mixed(half: number, key: number): number {
  let h = half ^ key;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
