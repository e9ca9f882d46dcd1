const MOST = 5;
const WITHIN_MINUTES = 10;

/** Counts how often a model's thread died, so that one that always dies is not loaded for ever. */
export interface Deaths {
  /**
   * Another death. The first is answered at once, the following ones after 1, 2, 4, … seconds.
   *
   * @returns seconds to wait before it is loaded again; undefined to give up, at the sixth within ten minutes
   */
  another(): number | undefined;
  readonly most: number;
  readonly withinMinutes: number;
}

/** @param now a clock in milliseconds */
export function openDeaths(now: () => number = () => performance.now()): Deaths {
  let recent: number[] = [];
  return {
    another() {
      const at = now();
      recent = [...recent.filter((each) => at - each < WITHIN_MINUTES * 60_000), at];
      if (recent.length > MOST) return undefined;
      return recent.length === 1 ? 0 : 2 ** (recent.length - 2);
    },
    most: MOST,
    withinMinutes: WITHIN_MINUTES,
  };
}
