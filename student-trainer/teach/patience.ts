import { setTimeout as sleep } from "node:timers/promises";
import { readProblem, type WireError } from "@funmatch/wire";
import pRetry from "p-retry";
import { TeacherError } from "./errors.ts";
import { PassingError, type Reply } from "./exchange.ts";

/** How long to believe in a teacher that fails. */
export interface Patience {
  /** Tries of a request whose failures may pass: lost connections, 500, 502, 504, deadlines. */
  attempts: number;
  /** Delay before the second try; it doubles (times a random 1..2) up to 30 s. */
  firstDelayMs: number;
}

/** Told now and then while a teacher makes its student wait. */
export type OnWait = (why: string) => void;

/**
 * Sends until there is an answer with status 200. 503 (loading) and 429 (quota, overload) wait as long
 * as the service says and use up no attempt: training is patient.
 *
 * @throws TeacherError when the service refuses for good, or the attempts are used up
 */
export function untilAnswered(
  who: string,
  send: () => Promise<Reply>,
  { attempts, firstDelayMs }: Patience,
  onWait: OnWait,
  signal?: AbortSignal,
): Promise<Reply> {
  return pRetry(() => whileToldToWait(who, send, onWait, signal), {
    retries: attempts - 1,
    minTimeout: firstDelayMs,
    maxTimeout: 30_000,
    randomize: true,
    signal,
    shouldRetry: ({ error }) => error instanceof PassingError,
    onFailedAttempt: ({ error, retriesConsumed, retryDelay }) => {
      if (error instanceof PassingError && retryDelay > 0)
        onWait(`${who}: ${error.message}; try ${retriesConsumed + 2} of ${attempts} follows`);
    },
  }).catch((error: unknown) => {
    if (!(error instanceof PassingError)) throw error;
    const tries = attempts === 1 ? "one try" : `${attempts} tries`;
    throw new TeacherError("unavailable", `${who}: no answer after ${tries}: ${error.message}`, {
      cause: error,
    });
  });
}

async function whileToldToWait(
  who: string,
  send: () => Promise<Reply>,
  onWait: OnWait,
  signal?: AbortSignal,
): Promise<Reply> {
  for (;;) {
    const reply = await send();
    if (reply.status === 200) return reply;
    const problem = readProblem(reply.status, new TextDecoder().decode(reply.bytes), reply.headers);
    if (reply.status !== 503 && reply.status !== 429) throw refusal(who, reply.status, problem);
    const seconds = Math.max(0.05, problem.retryAfterSeconds ?? 1);
    onWait(`${who}: ${problem.detail} (${reply.status} ${problem.code}; waiting ${seconds} s as told)`);
    // A little later than told, and not all at the same moment.
    await sleep(seconds * 1000 * (1 + 0.1 * Math.random()), undefined, { signal }).catch(() => {
      signal?.throwIfAborted();
    });
  }
}

function refusal(who: string, status: number, problem: WireError): Error {
  const told = `${who}: ${problem.detail} (${status} ${problem.code})`;
  if (problem.code === "digest_mismatch")
    return new TeacherError("digest", `${told}: the batch changed on its way`);
  if (status >= 500 || problem.code === "deadline_exceeded")
    return new PassingError(`${problem.detail} (${status} ${problem.code})`);
  if (problem.code === "version_mismatch")
    return new TeacherError("version", `${told}: the teacher is not the one that this run began with`);
  const advice: Record<string, string> = {
    unauthenticated: '. Set its key, e.g. key: "env:FUNMATCH_KEY"',
    unknown_model: ". Look at GET /v1/models for the names that it serves",
    too_large: ". Set a smaller chunk",
  };
  return new TeacherError("refused", told + (advice[problem.code] ?? ""));
}
