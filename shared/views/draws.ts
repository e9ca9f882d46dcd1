import { hash } from "node:crypto";
import { philox4x32 } from "./philox.ts";

/** A stream of seeded random numbers. Every method takes the next words of the stream, in call order. */
export interface Draws {
  /** The next 32-bit word. */
  uint32(): number;
  /** Uniform in [0, 1) with 53 random bits (two words: `(a >> 5) * 2^26 + (b >> 6)`, over 2^53). */
  uniform(): number;
  /** Standard normal (Box-Muller: two uniforms give two numbers, the second is kept for the next call). */
  normal(): number;
  /** Uniform integer in [0, n), 1 <= n <= 2^32, without bias: words at or above the last multiple of n are skipped. */
  below(n: number): number;
}

/**
 * Opens the stream of random numbers that a name stands for. The same seed and name give the same numbers on every
 * machine and thread, whatever else was drawn before; other names give independent numbers.
 *
 * The stream is Philox4x32-10. SHA-256 of the name, written as the JSON array `[seed, ...name]` in UTF-8, gives
 * sixteen bytes, read as little-endian words: the key (2 words), then the upper two counter words. The lower two
 * counter words count blocks of four numbers from 0.
 *
 * @example
 * const view = draws(0, "view", 12, 345); // epoch 12, image 345
 * const flip = view.below(2) === 1;
 * @throws RangeError if the seed or a number in the name is not a safe integer.
 */
export function draws(seed: number, ...name: (string | number)[]): Draws {
  const parts = [seed, ...name];
  for (const part of parts) {
    if (typeof part === "number" && !Number.isSafeInteger(part)) {
      throw new RangeError(`A seed and the numbers of a stream's name must be integers, not ${part}`);
    }
  }
  const named = hash("sha256", JSON.stringify(parts), "buffer");
  const key0 = named.readUInt32LE(0);
  const key1 = named.readUInt32LE(4);
  const counter = new Uint32Array([0, 0, named.readUInt32LE(8), named.readUInt32LE(12)]);
  const block = new Uint32Array(4);
  let used = 4;
  let kept: number | undefined;

  function uint32(): number {
    if (used === 4) {
      philox4x32(counter, key0, key1, block);
      counter[0]!++;
      if (counter[0] === 0) counter[1]!++;
      used = 0;
    }
    return block[used++]!;
  }

  function uniform(): number {
    const high = uint32() >>> 5;
    const low = uint32() >>> 6;
    return (high * 0x4000000 + low) / 0x20000000000000;
  }

  function normal(): number {
    if (kept !== undefined) {
      const second = kept;
      kept = undefined;
      return second;
    }
    // 1 - uniform is in (0, 1]: its logarithm is finite.
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    kept = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  function below(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 0x100000000) {
      throw new RangeError(`below(n) needs an integer from 1 to 2^32, not ${n}`);
    }
    const end = 0x100000000 - (0x100000000 % n);
    let word = uint32();
    while (word >= end) word = uint32();
    return word % n;
  }

  return { uint32, uniform, normal, below };
}

/** A uniformly random order of 0 … n-1 (Fisher and Yates' shuffle, from the end down). */
export function permutation(d: Draws, n: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let last = n - 1; last > 0; last--) {
    const chosen = d.below(last + 1);
    const moved = order[last]!;
    order[last] = order[chosen]!;
    order[chosen] = moved;
  }
  return order;
}
