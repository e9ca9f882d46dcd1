import { HEADERS, WireError } from "@funmatch/wire";
import { timeoutHeader } from "@funmatch/wire/openapi";
import type { Context } from "hono";
import type { Env } from "../app.ts";

/** Until when a request must be answered. */
export interface Deadline {
  /** `performance.now()` */
  readonly at: number;
  readonly signal: AbortSignal;
  /** Allows so many milliseconds from the request's arrival on, unless it has fewer already. */
  shorten(ms: number): void;
  clear(): void;
}

/**
 * Aborts when the client goes away, and with `deadline_exceeded` when its time is up, counted from its arrival.
 *
 * @param limitMs the longest that a request may take, and what it has when it asks for nothing
 * @throws WireError `malformed` for a time that is none
 */
export function openDeadline(c: Context<Env>, limitMs: number): Deadline {
  const asked = c.req.header(HEADERS.timeout);
  if (asked !== undefined && !timeoutHeader.safeParse(asked).success)
    throw new WireError("malformed", `${HEADERS.timeout}: "${asked}" is not a whole number of milliseconds`);
  const deadline = new AbortController();
  let allowed = limitMs;
  let timer: NodeJS.Timeout | undefined;
  const allow = (ms: number) => {
    allowed = ms;
    clearTimeout(timer);
    timer = setTimeout(
      () => deadline.abort(new WireError("deadline_exceeded", `not answered within ${ms} ms`)),
      // Node warns of a time that is over.
      Math.max(0, ms - (performance.now() - c.var.arrived)),
    );
  };
  allow(Math.min(limitMs, asked === undefined ? limitMs : Number(asked)));
  return {
    get at() {
      return c.var.arrived + allowed;
    },
    signal: AbortSignal.any([c.req.raw.signal, deadline.signal]),
    shorten(ms) {
      if (ms < allowed) allow(ms);
    },
    clear: () => clearTimeout(timer),
  };
}
