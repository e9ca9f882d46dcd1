import {
  HEADERS,
  IDENTITY_HEADER,
  MSGPACK_TYPE,
  type Purpose,
  readProblem,
  signIdentity,
  WireError,
} from "@funmatch/wire";
import type { Deadline } from "../deadline.ts";
import type { Platform } from "../platform.ts";
import type { Origin } from "./origin.ts";

/** On whose behalf a teacher is asked, and until when. */
export interface Asker extends Pick<Platform, "settings" | "later"> {
  team: string;
  requestId: string;
  /** Headers that name the client's trace. */
  trace: Record<string, string>;
  deadline: Deadline;
}

/** One call to a teacher. */
export interface TeacherCall {
  method: "GET" | "POST";
  /** Under the teacher's URL, beginning with a slash. */
  path: string;
  purpose: Purpose;
  /** The digest that the request claims. */
  digest?: string | undefined;
  /** The teacher version that must answer. */
  pin?: string | undefined;
  body?: { bytes: ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer>; length: number };
}

/** A longer refusal is no problem document, and its status has to do. */
const LARGEST_REFUSAL = 64 * 1024;
/** Cards of many models, each with the names of its classes. */
const LARGEST_JSON = 16 * 1024 * 1024;

/** Seconds after which a teacher that cannot be reached may be tried again. */
const UNREACHABLE_RETRY_SECONDS = 2;

/**
 * Calls a teacher, signed. The client's own headers stay behind, all but those named here: that is how a forged
 * identity header is deleted.
 *
 * @returns the teacher's answer with status 2xx, its body not yet read
 * @throws WireError the teacher's own refusal, or `upstream_unreachable`, `deadline_exceeded`, `internal`
 * @example
 * const answer = await askTeacher(origin, asker, { method: "GET", path: "/v1/models", purpose: "eval" });
 */
export async function askTeacher(origin: Origin, asker: Asker, call: TeacherCall): Promise<Response> {
  const url = new URL(origin.url + call.path);
  const headers = new Headers({
    ...asker.trace,
    [HEADERS.requestId]: asker.requestId,
    [HEADERS.timeout]: String(asker.deadline.left()),
    [IDENTITY_HEADER]: await signIdentity(asker.settings.teacherSecret, call.method, url.pathname, {
      audience: origin.audience,
      team: asker.team,
      requestId: asker.requestId,
      timestamp: Math.floor(Date.now() / 1000),
      purpose: call.purpose,
      contentLength: call.body?.length ?? 0,
      digest: call.digest ?? "",
    }),
    "accept-encoding": "identity",
  });
  if (call.pin !== undefined) headers.set(HEADERS.version, call.pin);
  if (call.body !== undefined) {
    headers.set("content-type", MSGPACK_TYPE);
    headers.set("content-length", String(call.body.length));
  }
  const answer = await send(
    url,
    { method: call.method, headers, body: call.body?.bytes ?? null },
    asker.deadline,
  );
  if (answer.ok) return answer;
  throw await refusal(answer, asker.deadline);
}

/**
 * A request that has until the deadline for its answer to begin.
 *
 * @throws WireError `upstream_unreachable` or `deadline_exceeded`
 */
export async function send(url: URL | string, request: RequestInit, deadline: Deadline): Promise<Response> {
  try {
    // Node wants to hear that a body is sent while it comes in; Workers do not mind.
    const streamed: RequestInit & { duplex: "half" } = { ...request, duplex: "half" };
    return await fetch(url, { ...streamed, signal: deadline.signal, redirect: "manual" });
  } catch (cause) {
    throw lost("the teacher cannot be reached", deadline, cause);
  }
}

/**
 * The whole body of an answer.
 *
 * @param most bytes that it may have
 * @throws WireError `upstream_unreachable` or `deadline_exceeded` if it breaks off, `internal` if it is longer
 */
export async function readAnswer(
  answer: Response,
  deadline: Deadline,
  most: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const part of answer.body ?? []) {
      size += part.length;
      if (size > most) break;
      parts.push(part);
    }
  } catch (cause) {
    throw lost("the teacher's answer broke off", deadline, cause);
  }
  if (size > most) {
    throw new WireError("internal", `the teacher's answer has more than ${most} bytes`, { status: 502 });
  }
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/**
 * The JSON of an answer; undefined if it is none.
 *
 * @throws WireError as `readAnswer`
 */
export async function readJson(answer: Response, deadline: Deadline): Promise<unknown> {
  const bytes = await readAnswer(answer, deadline, LARGEST_JSON);
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

function lost(how: string, deadline: Deadline, cause: unknown): WireError {
  if (deadline.passed())
    return new WireError("deadline_exceeded", "the teacher did not answer in time", { cause });
  const retryAfterSeconds = UNREACHABLE_RETRY_SECONDS;
  return new WireError("upstream_unreachable", how, { retryAfterSeconds, cause });
}

/** What the client is told when the teacher refuses: the teacher's own problem, and when to come again. */
async function refusal(answer: Response, deadline: Deadline): Promise<WireError> {
  const bytes = await readAnswer(answer, deadline, LARGEST_REFUSAL).catch(() => undefined);
  const body = new TextDecoder().decode(bytes);
  if (answer.status === 401) {
    const { detail } = readProblem(answer.status, body, answer.headers);
    return new WireError(
      "internal",
      `the teacher does not accept this gateway's signature (${detail}): TEACHER_SECRET and AUDIENCE must be those of the teacher, and both clocks right`,
    );
  }
  if (answer.status < 400) {
    return new WireError(
      "upstream_unreachable",
      `the teacher answered with status ${answer.status}: is TEACHER_URL right?`,
    );
  }
  const told = readProblem(answer.status, body, answer.headers);
  // The teacher names the models that it has, and not every key may know of them all.
  if (told.code === "unknown_model") return new WireError("unknown_model", "the teacher has no such model");
  return told;
}
