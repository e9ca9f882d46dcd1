import { type ProblemCode, WireError } from "@funmatch/wire";
import { failed, succeeded } from "./breaker.ts";
import { chooseOrigin, isUsable, originsFor } from "./choose.ts";
import { lookAside } from "./look.ts";
import { doubt, type Origin } from "./origin.ts";
import type { Asker } from "./teacher.ts";
import { watch } from "./watch.ts";

/** Refusals that another teacher may not share, the one that helps a client most first. */
const PASSING: readonly ProblemCode[] = [
  "loading",
  "overloaded",
  "upstream_unreachable",
  "internal",
  "digest_mismatch",
  "version_mismatch",
  "unknown_model",
];
/** Those of them that are the teacher's fault. */
const FAULTS: readonly ProblemCode[] = ["upstream_unreachable", "internal", "digest_mismatch"];

/** What is asked of the teachers, one after the other. */
export interface Question<T> {
  model: string;
  pin: string | undefined;
  /** Asks one, and gives what it answered once that is whole and right; its deadline is that of the asker it is given. */
  ask(origin: Origin, asker: Asker): Promise<T>;
  /** Whether, after a failure, the same can be sent to another one. */
  repeatable(): boolean;
}

/**
 * What the first teacher answers that does answer. One that fails is counted against, and another is asked as long as
 * there is one and the question can be repeated.
 *
 * @throws WireError the refusal that helps most: when to come again, rather than that one of them has another version
 * @example
 * const bytes = await askTeachers(asker, { model: "prof", pin, ask: (origin) => …, repeatable: () => true });
 */
export async function askTeachers<T>(asker: Asker, question: Question<T>): Promise<T> {
  const { model, pin } = question;
  const tried = new Set<Origin>();
  const failures: WireError[] = [];
  for (;;) {
    const origin = await chooseOrigin(asker, { model, pin, tried }).catch((none: unknown) => {
      throw none instanceof WireError ? mostHelpful([...failures, none]) : none;
    });
    const answered = origin.inFlight.take(1, Date.now() + asker.deadline.left());
    const watched = watch(origin, asker);
    try {
      const answer = await question.ask(origin, watched.asker);
      succeeded(origin.breaker);
      return answer;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      count(origin, asker, model, error);
      if (!isPassing(error)) throw error;
      tried.add(origin);
      failures.push(error);
      if (!question.repeatable()) throw await lostOnTheWay(asker, { model, pin, tried }, error);
    } finally {
      watched.stop();
      answered();
    }
  }
}

function isPassing({ code, status }: WireError): boolean {
  // A digest that does not fit is passing only as the teacher's doing: 422 says that it is the client's.
  return PASSING.includes(code) && !(code === "digest_mismatch" && status === 422);
}

/** Holds a failure against a teacher, if it is its own and not the client's, whose haste or absence proves nothing. */
function count(origin: Origin, asker: Asker, model: string, error: WireError): void {
  if (asker.deadline.signal.aborted || error.code === "deadline_exceeded") {
    // It may be slow, it may be hung: a look tells.
    if (asker.deadline.passed()) lookAside(origin, asker);
    return;
  }
  if (!isPassing(error)) succeeded(origin.breaker);
  if (!isPassing(error) || error.code === "overloaded") return;
  // What is answered wrong may be the question's doing: it closes nobody off who has no substitute.
  const substitute = originsFor(asker, model).some((other) => other !== origin && isUsable(other));
  const away = error.code === "upstream_unreachable";
  if (away || (FAULTS.includes(error.code) && substitute)) failed(origin.breaker, 1, Date.now());
  doubt(origin);
  lookAside(origin, asker);
}

function mostHelpful(failures: readonly WireError[]): WireError {
  const rank = ({ code }: WireError) => (PASSING.includes(code) ? PASSING.indexOf(code) : PASSING.length);
  const [best] = failures.toSorted(
    (a, b) => rank(a) - rank(b) || (a.retryAfterSeconds ?? 0) - (b.retryAfterSeconds ?? 0),
  );
  return best as WireError;
}

/**
 * What a client is told whose body is gone with a teacher that did not take it: if another one would, that asking again
 * helps, so that a teacher that has just changed does not end a run.
 */
async function lostOnTheWay(
  asker: Asker,
  wanted: Parameters<typeof chooseOrigin>[1],
  error: WireError,
): Promise<WireError> {
  if (error.code !== "version_mismatch" && error.code !== "unknown_model") return error;
  try {
    await chooseOrigin(asker, wanted);
  } catch (none) {
    return none instanceof WireError ? mostHelpful([error, none]) : error;
  }
  const detail = `the teacher that was asked refused (${error.detail}), another one takes this call: send it again`;
  return new WireError("upstream_unreachable", detail, { retryAfterSeconds: 1, cause: error });
}
