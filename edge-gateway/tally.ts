/**
 * A sum of what is under way in this process: bytes in memory, calls in flight. A runtime that ends a request may run
 * no `finally`, so what is not given back by its time counts as given back.
 */
export interface Tally {
  sum(): number;
  /** Adds an amount until the returned function is called, or until that time (Unix milliseconds). */
  take(amount: number, until: number): () => void;
}

/**
 * @example
 * const inFlight = openTally();
 * const done = inFlight.take(1, Date.now() + deadline.left());
 * inFlight.sum();   // 1
 * done();
 */
export function openTally(): Tally {
  const taken = new Set<{ amount: number; until: number }>();
  return {
    sum() {
      const now = Date.now();
      let sum = 0;
      for (const one of taken) {
        if (one.until < now) taken.delete(one);
        else sum += one.amount;
      }
      return sum;
    },
    take(amount, until) {
      const one = { amount, until };
      taken.add(one);
      return () => void taken.delete(one);
    },
  };
}
