/** Failures in a row that open it; a success in between forgets them. */
const OPENS_AT = 3;
const FIRST_PAUSE_MS = 1000;
/** A look at a teacher costs little, so one that is back is used again within this time. */
const LONGEST_PAUSE_MS = 5000;

/**
 * A circuit breaker: who failed again and again is left alone for a while, and then looked at before it is trusted with
 * a call. Plain data, so that it can be shared by all calls of a process.
 */
export interface Breaker {
  failures: number;
  /** How often in a row it has opened. */
  openings: number;
  /** Unix milliseconds until which nothing is sent. */
  openUntil: number;
}

/** `closed`: calls pass. `open`: none does. `half-open`: a probe does; its success closes it, its failure opens it again. */
export type Standing = "closed" | "open" | "half-open";

/** A breaker that nothing is known against. */
export const newBreaker = (): Breaker => ({ failures: 0, openings: 0, openUntil: 0 });

/** @example if (standing(breaker, Date.now()) !== "open") send(); */
export function standing(breaker: Breaker, now: number): Standing {
  if (breaker.failures < OPENS_AT) return "closed";
  return now < breaker.openUntil ? "open" : "half-open";
}

/** A call was answered: all is forgotten. */
export function succeeded(breaker: Breaker): void {
  Object.assign(breaker, newBreaker());
}

/** A probe was answered: calls pass, but the next failure opens it again, for longer. */
export function probed(breaker: Breaker): void {
  breaker.failures = Math.min(breaker.failures, OPENS_AT - 1);
}

/**
 * A call or a probe failed.
 *
 * @param weight 1 for a call, 2 for a probe, whose failure has no other reason than the teacher
 */
export function failed(breaker: Breaker, weight: 1 | 2, now: number): void {
  const before = standing(breaker, now);
  breaker.failures += weight;
  if (before === "open" || standing(breaker, now) === "closed") return;
  breaker.openUntil = now + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** breaker.openings);
  breaker.openings += 1;
}
