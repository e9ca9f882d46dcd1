import { look } from "./look.ts";
import type { Origin } from "./origin.ts";
import type { Asker } from "./teacher.ts";

/** How long a call is waited for before its teacher is looked at meanwhile, and how often from then on. */
const WATCH_MS = 5000;
const LOOK_AGAIN_MS = 1000;

/** Whoever asks, with a deadline that also ends when the teacher is gone. */
export interface Watched {
  asker: Asker;
  stop(): void;
}

/**
 * Looks now and then at a teacher that has not answered yet. One whose machine died leaves its connections open, and
 * would be waited for until the time is up: if two looks in a row fail, the call is broken off.
 *
 * @example
 * const { asker: patient, stop } = watch(origin, asker);
 * await ask(origin, patient).finally(stop);
 */
export function watch(origin: Origin, asker: Asker): Watched {
  const gone = new AbortController();
  const { deadline } = asker;
  let timer = setTimeout(check, WATCH_MS, false);
  let stopped = false;

  async function check(failedBefore: boolean): Promise<void> {
    const well = origin.told !== undefined && Date.now() - origin.told.at < WATCH_MS;
    const wrong = well ? undefined : await look(origin, asker);
    if (stopped) return;
    if (wrong !== undefined && failedBefore) gone.abort(wrong);
    else timer = setTimeout(check, wrong === undefined ? WATCH_MS : LOOK_AGAIN_MS, wrong !== undefined);
  }

  return {
    asker: { ...asker, deadline: { ...deadline, signal: AbortSignal.any([deadline.signal, gone.signal]) } },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
