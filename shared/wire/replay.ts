/** Remembers which signed identities were used, so that none is used twice. */
import { WireError } from "./problem.ts";

/** Admits each identity header once. */
export interface ReplayWindow {
  /**
   * Call after `verifyIdentity` has accepted `header`. Throws WireError `unauthenticated` if it was admitted
   * before, and `overloaded` if more calls come than can be remembered: forgetting one would let it in again.
   */
  admit(header: string, nowSeconds: number): void;
}

/**
 * A memory of up to `capacity` identities. A header is known by its mac, not by its request id, which a retry
 * keeps. `windowSeconds` is the one given to `verifyIdentity`; `nowSeconds` must not run backwards.
 */
export function replayWindow(windowSeconds: number, capacity = 100_000): ReplayWindow {
  const seen = new Map<string, number>(); // mac -> when it was admitted; oldest first
  return {
    admit(header, nowSeconds) {
      for (const [mac, admitted] of seen) {
        // Signed at most a window ahead of its admission, an identity is stale two windows after it.
        if (admitted + 2 * windowSeconds >= nowSeconds) break;
        seen.delete(mac);
      }
      const mac = header.slice(header.lastIndexOf(".") + 1);
      if (seen.has(mac)) throw new WireError("unauthenticated", "identity: it was used before");
      if (seen.size >= capacity) {
        throw new WireError("overloaded", `more than ${capacity} calls in ${2 * windowSeconds} s`, {
          retryAfterSeconds: windowSeconds,
        });
      }
      seen.set(mac, nowSeconds);
    },
  };
}
