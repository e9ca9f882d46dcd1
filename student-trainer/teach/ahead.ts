/**
 * Yields what `start(i)` promises for i = from, from+1, … below `to`, strictly in that order, while
 * `inFlight` further ones are already under way: memory is bounded by `inFlight` + 1 results.
 *
 * A failure surfaces when its turn comes. Then, and when the caller stops early or `signal` is aborted,
 * the signal that the others were given is aborted.
 *
 * @throws what the failed `start` threw; the signal's reason
 */
export async function* ahead<T>(o: {
  from: number;
  to: number;
  inFlight: number;
  start: (i: number, signal: AbortSignal) => Promise<T>;
  signal?: AbortSignal;
}): AsyncGenerator<T> {
  const stop = new AbortController();
  const signal = o.signal ? AbortSignal.any([o.signal, stop.signal]) : stop.signal;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => {});
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  const window: Promise<T>[] = [];
  let next = o.from;
  const refill = (size: number) => {
    for (; window.length < size && next < o.to; next++) {
      const started = o.start(next, signal);
      started.catch(() => {}); // heard when its turn comes
      window.push(started);
    }
  };
  try {
    refill(o.inFlight);
    for (let first = window[0]; first; first = window[0]) {
      signal.throwIfAborted();
      const value = await Promise.race([first, aborted]);
      window.shift();
      refill(o.inFlight);
      yield value;
    }
  } finally {
    stop.abort(new Error("no longer needed"));
  }
}
