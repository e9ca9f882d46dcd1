import { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { TeacherError } from "./errors.ts";
import { follow } from "./follower.ts";

/** One HTTP request. `body`'s parts are sent one after the other as they lie, under one content-length. */
export interface Request {
  method: "GET" | "POST";
  path: string;
  headers: Record<string, string>;
  body?: Uint8Array[];
  /** The whole exchange, connection to last byte, takes no longer. */
  deadlineMs: number;
  /** A longer answer is refused. */
  maxAnswerBytes: number;
  signal?: AbortSignal;
}

export interface Reply {
  status: number;
  headers: Headers;
  bytes: Uint8Array;
}

/** A failure that may pass by itself: connection lost, deadline over, a server's momentary error. */
export class PassingError extends Error {
  override name = "PassingError";
}

/**
 * One request and its whole answer.
 *
 * @throws PassingError when connection or deadline fail
 * @throws TeacherError when the answer is longer than allowed
 * @throws the signal's reason when it is aborted
 */
export async function exchange(dispatcher: Dispatcher, request: Request): Promise<Reply> {
  const { method, path, body, deadlineMs, maxAnswerBytes } = request;
  using follower = follow(request.signal);
  const late = new PassingError(`no answer within ${deadlineMs / 1000} s`);
  const timer = setTimeout(() => follower.abort(late), deadlineMs);
  const headers = { ...request.headers };
  if (body) headers["content-length"] = String(body.reduce((sum, part) => sum + part.byteLength, 0));
  try {
    const answer = await dispatcher.request({
      method,
      path,
      headers,
      body: body ? Readable.from(body) : null,
      signal: follower.signal,
      headersTimeout: 0, // the deadline covers both
      bodyTimeout: 0,
    });
    const bytes = await readAtMost(answer.body, maxAnswerBytes);
    return { status: answer.statusCode, headers: new Headers(flat(answer.headers)), bytes };
  } catch (error) {
    request.signal?.throwIfAborted();
    if (error instanceof TeacherError) throw error;
    if (follower.signal.aborted) throw late;
    const code = (error as NodeJS.ErrnoException).code;
    if (!code || code.startsWith("UND_ERR_INVALID") || code.startsWith("ERR_INVALID")) throw error;
    throw new PassingError(networkFault(error as Error), { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

async function readAtMost(body: Readable, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body as AsyncIterable<Uint8Array>) {
    length += part.byteLength;
    if (length > limit)
      throw new TeacherError("malformed", `the answer is longer than the ${limit} bytes that it may have`);
    parts.push(part);
  }
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts, length);
}

function flat(headers: Record<string, string | string[] | undefined>): [string, string][] {
  return Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name, one]),
  );
}

/** An AggregateError (one failure per address of the host) has an empty message: name its first. */
function networkFault(error: Error): string {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return error.errors[0].message;
  return error.message || String((error as NodeJS.ErrnoException).code);
}
