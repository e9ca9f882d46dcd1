/** How many steps may be under way beside the one being learned. */
export interface WindowSize {
  now(): number;
  /**
   * Told of every lesson once the next one is wanted.
   *
   * @param waySeconds from its start to its last answer
   * @param studentSeconds from when it was handed on until the next one was wanted
   */
  saw(lesson: { waySeconds: number; studentSeconds: number }): void;
}

/** Steps under way where nothing is said or known. */
export const LEAST = 8;
/** What a window grows to at most, in steps and in bytes of views. */
const MOST = 64;
const MOST_BYTES = 256 * 2 ** 20;

/** Ways are not all as short as the shortest, and steps not all as long as usual. */
const SPARE = 1.5;
/** Steps whose usual length counts, and the fewest of them that tell it. */
const LATELY = 16;
const ENOUGH = 4;

/** How many batches are to be under way so that one is there every `usualSeconds`, within what a window may hold. */
export function underWay(o: { waySeconds: number; usualSeconds: number; batchBytes: number }): number {
  const most = Math.min(MOST, Math.floor(MOST_BYTES / o.batchBytes));
  const wanted = Math.ceil((SPARE * o.waySeconds) / o.usualSeconds) + 1;
  return Math.max(LEAST, Math.min(most, wanted));
}

/**
 * A window of the size that is said, or else of as many steps as the student takes while one batch is on its way (its
 * views, the link there and back, the teacher's pass): with fewer it would stand idle however fast the teacher
 * answers. Of all ways the shortest counts, which met no queue: a teacher that is slower than the student is not
 * sent more for it.
 *
 * @param o.batchBytes views of one step, for all of the window is in memory
 */
export function windowSize(o: { inFlight?: number; batchBytes: number }): WindowSize {
  const { inFlight, batchBytes } = o;
  if (inFlight !== undefined) return { now: () => inFlight, saw() {} };
  let shortestWay = Number.POSITIVE_INFINITY;
  const lately: number[] = [];
  let now = LEAST;
  return {
    now: () => now,
    saw({ waySeconds, studentSeconds }) {
      shortestWay = Math.min(shortestWay, waySeconds);
      lately.push(studentSeconds);
      if (lately.length > LATELY) lately.shift();
      if (lately.length < ENOUGH) return;
      const usual = lately.toSorted((a, b) => a - b)[lately.length >> 1]!;
      now = underWay({ waySeconds: shortestWay, usualSeconds: usual, batchBytes });
    },
  };
}
