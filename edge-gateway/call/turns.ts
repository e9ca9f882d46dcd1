/**
 * Who may push a piece of a body to a teacher. Whatever is pushed to one that does not read stays in the runtime's
 * buffers, two to four megabytes for each connection; so no more than a few push at a time, and the others wait with the
 * little that they have read.
 */
export interface Turns {
  /** Waits for a turn of a team. @returns gives it back; undefined if the signal came first */
  take(team: string, signal: AbortSignal): Promise<(() => void) | undefined>;
}

/** Turns at a time, of all and of one team: a team whose uploads are stuck does not hold up the others. */
const MOST = 24;
const MOST_OF_TEAM = 16;

/** A turn that is not renewed for so long is over: a runtime that ends a request may run no `finally`. */
const LEASE_MS = 5000;
const RENEW_MS = 2000;
/** No queue, but another look after so long: on Workers no request may be woken by one that may be gone. */
const WAIT_MS = 10;

/**
 * @example
 * const turns = openTurns();
 * const giveBack = await turns.take("clothing", refused.signal);
 */
export function openTurns(): Turns {
  const taken = new Set<{ team: string; until: number }>();

  function isFree(team: string): boolean {
    const now = Date.now();
    let ofTeam = 0;
    for (const one of taken) {
      if (one.until < now) taken.delete(one);
      else if (one.team === team) ofTeam++;
    }
    return taken.size < MOST && ofTeam < MOST_OF_TEAM;
  }

  return {
    async take(team, signal) {
      while (!isFree(team)) {
        if (signal.aborted) return undefined;
        await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
      }
      const one = { team, until: Date.now() + LEASE_MS };
      taken.add(one);
      const renewal = setInterval(() => {
        one.until = Date.now() + LEASE_MS;
      }, RENEW_MS);
      return () => {
        clearInterval(renewal);
        taken.delete(one);
      };
    },
  };
}
