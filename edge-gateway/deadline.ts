import { WireError } from "@funmatch/wire";

/** Longest wait for an answer: Cloudflare gives up on an origin that stays silent for 100 s. */
export const LONGEST_MS = 100_000;

/** When a call must be answered, counted from its first header byte. */
export interface Deadline {
  /** Milliseconds left, at least 1: what the next hop is given. */
  left(): number;
  /** Whether the time is up, as opposed to a client that went away. */
  passed(): boolean;
  /** Fires when the time is up or the client has gone. */
  signal: AbortSignal;
}

/**
 * Starts the clock of a call.
 *
 * @param asked the x-funmatch-timeout-ms header, if there is one
 * @param clientGone the request's own signal
 * @throws WireError `malformed` if the header is not a positive whole number
 * @example
 * const deadline = startDeadline("5000", request.signal);
 * await fetch(url, { signal: deadline.signal, headers: { "x-funmatch-timeout-ms": String(deadline.left()) } });
 */
export function startDeadline(asked: string | undefined, clientGone: AbortSignal): Deadline {
  if (asked !== undefined && !/^[1-9]\d{0,9}$/.test(asked)) {
    throw new WireError(
      "malformed",
      `x-funmatch-timeout-ms is ${JSON.stringify(asked)}, must be a positive whole number`,
    );
  }
  const end = Date.now() + Math.min(Number(asked ?? LONGEST_MS), LONGEST_MS);
  const timer = AbortSignal.timeout(end - Date.now());
  return {
    left: () => Math.max(1, end - Date.now()),
    passed: () => timer.aborted,
    signal: AbortSignal.any([timer, clientGone]),
  };
}

/**
 * What some work gives, if it gives it before the deadline.
 *
 * @param what for the detail of the error: what did not happen in time
 * @throws WireError `deadline_exceeded`
 * @example
 * const body = await inTime(deadline, readWhole(incoming), "the body did not arrive");
 */
export async function inTime<T>(deadline: Deadline, work: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new WireError("deadline_exceeded", `${what} in time`)),
    deadline.left(),
  );
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
