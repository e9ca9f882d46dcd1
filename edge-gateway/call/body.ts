import { HEAD_BYTES, MSGPACK_TYPE, type RequestHead, WireError } from "@funmatch/wire";
import type { Deadline } from "../deadline.ts";

/** A request whose first bytes were read; the others wait in the socket until someone asks for them. */
export interface Begun {
  /** The bytes read so far: at least the head, and what came along with it. */
  first: Uint8Array;
  rest: ReadableStream<Uint8Array>;
  /** Content-Length of the whole body. */
  length: number;
}

/** A request that is known by its head. */
export interface Incoming extends Begun {
  head: RequestHead;
}

/**
 * Reads the first bytes of a logits request, those that tell purpose, digest and shape, and no more than that.
 *
 * @throws WireError `length_required`, `too_large`, `unsupported_media_type` or `malformed`
 * @example
 * const { first, length } = await begin(request, 100_000_000);
 * readRequestHead(first, length).shape;   // [64, 64, 64, 3]
 */
export async function begin(request: Request, maxBodyBytes: number): Promise<Begun> {
  const length = contentLength(request.headers);
  if (length > maxBodyBytes) {
    throw new WireError(
      "too_large",
      `the body has ${length} bytes, this gateway takes ${maxBodyBytes} (maxBodyBytes)`,
      { extra: { limit: "maxBodyBytes" } },
    );
  }
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== MSGPACK_TYPE) {
    throw new WireError(
      "unsupported_media_type",
      `content-type is ${type ?? "missing"}, must be ${MSGPACK_TYPE}`,
    );
  }
  const encoding = request.headers.get("content-encoding");
  if (encoding !== null) {
    throw new WireError(
      "unsupported_media_type",
      `content-encoding is ${encoding}; bodies are taken unencoded only`,
    );
  }
  if (request.body === null) throw new WireError("malformed", "the request has no body");
  const first = await readAtLeast(request.body, Math.min(HEAD_BYTES, length));
  return { first, rest: request.body, length };
}

/**
 * Buffers the whole body, for calls that are small and are looked up by their content.
 *
 * @throws WireError `malformed` if the body ends early
 */
export async function readWhole({ first, rest, length }: Incoming): Promise<Uint8Array<ArrayBuffer>> {
  const body = new Uint8Array(length);
  body.set(first);
  let filled = first.length;
  for await (const chunk of chunks(rest)) {
    body.set(chunk, filled);
    filled += chunk.length;
  }
  if (filled !== length)
    throw new WireError("malformed", `the body ended after ${filled} of ${length} bytes`);
  return body;
}

/** Reads and drops what a refused client is still sending. */
export async function hearOut(rest: ReadableStream<Uint8Array>, deadline: Deadline): Promise<void> {
  const drop = async () => {
    for await (const _ of chunks(rest));
  };
  await patiently(
    drop().catch(() => {}),
    deadline,
  );
}

/** Longest time that a refusal waits for the rest of a body. */
const PATIENCE_MS = 10_000;

/**
 * Waits, within reason, until a client that is to be refused has sent its body. A refusal that comes while it sends is
 * lost on it: the connection closes under its hands, and it sees a reset where it should see when to come again.
 */
export async function patiently(heard: Promise<void>, deadline: Deadline): Promise<void> {
  const enough = Promise.withResolvers<void>();
  const timer = setTimeout(enough.resolve, Math.min(PATIENCE_MS, deadline.left()));
  await Promise.race([heard, enough.promise]);
  clearTimeout(timer);
}

function contentLength(headers: Headers): number {
  const text = headers.get("content-length");
  if (text === null)
    throw new WireError("length_required", "Content-Length is missing; chunked bodies are not taken");
  if (!/^\d{1,15}$/.test(text))
    throw new WireError("malformed", `Content-Length is ${JSON.stringify(text)}, not a number`);
  return Number(text);
}

async function readAtLeast(body: ReadableStream<Uint8Array>, bytes: number): Promise<Uint8Array> {
  const reader = body.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  while (size < bytes) {
    const { done, value } = await reader.read();
    if (done)
      throw new WireError("malformed", `the body ended after ${size} bytes, before its head was whole`);
    parts.push(value);
    size += value.length;
  }
  reader.releaseLock();
  const first = new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    first.set(part, offset);
    offset += part.length;
  }
  return first;
}

/** The stream in pieces of up to 256 kB; but for the first, a piece is only good until the next one is asked for. */
export async function* chunks(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = byteReader(body);
  if (reader === undefined) return yield* body;
  const { done, value: first } = await reader.read(new Uint8Array(64 * 1024));
  if (done) return;
  yield first;
  let buffer = new ArrayBuffer(256 * 1024);
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(buffer));
    if (done) return;
    yield value;
    buffer = value.buffer;
  }
}

/** A reader that fills one buffer again and again; none of a stream that hands out buffers of its own, as Node's do. */
function byteReader(body: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | undefined {
  try {
    return body.getReader({ mode: "byob" });
  } catch {
    return undefined;
  }
}
