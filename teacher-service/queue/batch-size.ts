/** A batch size that can be computed, and how long a pass of it takes. */
export interface BatchSize {
  readonly images: number;
  readonly seconds: number;
}

/**
 * The size that answers the most images a second: a little padding beats a second pass, much padding does not.
 *
 * @example chooseSize([{ images: 8, seconds: 0.1 }, { images: 64, seconds: 0.6 }], 9) // 8
 */
export function chooseSize(sizes: readonly BatchSize[], waiting: number): BatchSize {
  return sizes.reduce((best, size) => (rate(size, waiting) > rate(best, waiting) ? size : best));
}

/** Images a second with `waiting` images to fill it. */
function rate(size: BatchSize, waiting: number): number {
  return Math.min(waiting, size.images) / size.seconds;
}

/** Images a second with the size that does the most. */
export function bestRate(sizes: readonly BatchSize[]): number {
  return Math.max(...sizes.map((size) => rate(size, size.images)));
}

/**
 * The sizes for when several teams ask: up to the shortest pass that still has a given share of the best throughput.
 * Whoever comes new waits for the rest of a pass, so its length is what others cost him.
 */
export function sharedSizes(sizes: readonly BatchSize[], throughput: number): BatchSize[] {
  const wanted = throughput * bestRate(sizes);
  const enough = sizes.filter((size) => rate(size, size.images) >= wanted);
  const longest = Math.min(...enough.map((size) => size.seconds));
  return sizes.filter((size) => size.seconds <= longest);
}

/**
 * How long it pays to wait for more images before a pass: until a larger size would be full at the pace at which
 * images come, if that answers more images a second although it starts later.
 *
 * @param pace images a second that come
 * @returns seconds, at most `most`; 0 when it does not pay
 */
export function worthWaiting(
  sizes: readonly BatchSize[],
  waiting: number,
  pace: number,
  most: number,
): number {
  const now = rate(chooseSize(sizes, waiting), waiting);
  return sizes
    .filter((size) => size.images > waiting)
    .map((size) => ({ size, wait: (size.images - waiting) / pace }))
    .filter(({ size, wait }) => wait <= most && size.images / (size.seconds + wait) > now)
    .reduce((longest, { wait }) => Math.max(longest, wait), 0);
}
