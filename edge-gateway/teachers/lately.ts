/** Another look at whether somebody else's question was answered: on Workers no request may be woken by another. */
const WAIT_MS = 10;

/**
 * Asks on behalf of all who want to know the same, so that nobody can make the gateway ask more often: who comes while
 * it is asked waits, and what was told, or went wrong, holds for a while.
 *
 * @param freshMs for so long
 * @param longestMs longest time that one question takes; one that is not heard of by then is asked anew
 * @example
 * const cards = lately(1000, 5000);
 * await cards(() => look(origin, asker));
 */
export function lately<T>(freshMs: number, longestMs: number): (ask: () => Promise<T>) => Promise<T> {
  let last: { at: number; told: Promise<T> } | undefined;
  let askedUntil = 0;
  return async (ask) => {
    while (askedUntil > Date.now()) await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    if (last !== undefined && Date.now() - last.at < freshMs) return last.told;
    askedUntil = Date.now() + longestMs;
    try {
      const told = await ask();
      last = { at: Date.now(), told: Promise.resolve(told) };
      return told;
    } catch (error) {
      const told = Promise.reject(error);
      told.catch(() => {}); // nobody may ask again
      last = { at: Date.now(), told };
      throw error;
    } finally {
      askedUntil = 0;
    }
  };
}
