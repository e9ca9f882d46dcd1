const PROJECTIONS = 4;

/**
 * A few numbers that stay near each other when logits do, which a digest does not: the length of all logits as one
 * vector, then its projections on directions of random signs. The same bits give the same numbers.
 *
 * @example logitsSketch(Float32Array.of(3, 4)) // [5, ±3 ±4, …]
 */
export function logitsSketch(logits: Float32Array): number[] {
  let squares = 0;
  const sums = new Float64Array(PROJECTIONS);
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i]!;
    squares += value * value;
    const signs = mixedBits(i);
    // Multiplied, since a branch on a random bit costs three times as much.
    for (let p = 0; p < PROJECTIONS; p++) sums[p]! += value * ((((signs >>> p) & 1) << 1) - 1);
  }
  return [Math.sqrt(squares), ...sums];
}

/**
 * How far apart the logits of two sketches are, relative to their length: 0 for equal ones; for logits whose errors
 * are independent about their relative size.
 */
export function sketchDistance(a: number[], b: number[]): number {
  const length = Math.max(a[0]!, b[0]!);
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return length === 0 ? 0 : Math.max(...a.map((value, i) => Math.abs(value - b[i]!))) / length;
}

/** The finalizer of MurmurHash3: every bit of the result depends on every bit of `i`. */
function mixedBits(i: number): number {
  let h = i;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
