/** An abort controller that its parent's signal aborts too, until it is disposed of. */
export interface Follower extends Disposable {
  signal: AbortSignal;
  abort(reason?: unknown): void;
}

/**
 * Follows a signal for a while. Unlike `AbortSignal.any`, it leaves nothing behind at a parent that lives as long
 * as the run: a million requests would be a gigabyte.
 */
export function follow(parent?: AbortSignal): Follower {
  const controller = new AbortController();
  const onAbort = () => controller.abort(parent?.reason);
  if (parent?.aborted) onAbort();
  else parent?.addEventListener("abort", onAbort, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    [Symbol.dispose]: () => parent?.removeEventListener("abort", onAbort),
  };
}
