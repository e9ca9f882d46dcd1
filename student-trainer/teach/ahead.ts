import { follow } from "./follower.ts";

/**
 * Yields what `start(i)` promises for i = from, from+1, … below `to`, strictly in that order, while
 * `inFlight` further ones are already under way: memory is bounded by `inFlight` + 1 results. A function says how many
 * may be from then on.
 *
 * A failure surfaces when its turn comes. Then, and when the caller stops early or `signal` is aborted,
 * the signal that the others were given is aborted.
 *
 * @throws what the failed `start` threw; the signal's reason
 */
export async function* ahead<T>(o: {
  from: number;
  to: number;
  inFlight: number | (() => number);
  start: (i: number, signal: AbortSignal) => Promise<T>;
  signal?: AbortSignal;
}): AsyncGenerator<T> {
  using follower = follow(o.signal);
  const { signal } = follower;
  const window: Promise<T>[] = [];
  let next = o.from;
  const size = typeof o.inFlight === "function" ? o.inFlight : () => o.inFlight as number;
  const refill = () => {
    for (; window.length < size() && next < o.to; next++) {
      const started = o.start(next, signal);
      started.catch(() => {}); // heard when its turn comes
      window.push(started);
    }
  };
  try {
    refill();
    for (let first = window[0]; first; first = window[0]) {
      const value = await unlessAborted(first, signal);
      window.shift();
      refill();
      yield value;
    }
  } finally {
    follower.abort(new Error("no longer needed"));
  }
}

/** `Promise.race` with a promise that stays open would keep every result for as long as that is there. */
function unlessAborted<T>(promised: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort);
    promised.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
