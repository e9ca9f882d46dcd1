import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { digestFromHash, WireError } from "@funmatch/wire";
import { takeImageMemory } from "./image-memory.ts";

/** Nobody waits for an answer any more. */
export class ClientGone extends Error {
  override name = "ClientGone";
}

/** What a request to compute brought, behind a head of its protocol. */
export interface Received<H> {
  readonly head: H;
  /** The image bytes alone, at the start of a shared buffer of exactly its size. */
  readonly data: Uint8Array<SharedArrayBuffer>;
  /** SHA-256 of `data`. */
  readonly digest: string;
}

/** Where the image bytes lie in a body: they end it. */
export interface Placed {
  readonly dataOffset: number;
  readonly dataLength: number;
}

/** How a body begins. */
export interface Beginning<H extends Placed> {
  /** Bytes that must be there for the head to be read; no more than the body has. */
  readonly bytes: number;
  /** Reads the head from exactly these bytes. */
  read(start: Uint8Array): H;
}

/**
 * Reads how long a request says its body is, before any of it is read.
 *
 * @throws WireError `unsupported_media_type` for a compressed one, `length_required`, `malformed` or `too_large`
 */
export function announcedLength(incoming: IncomingMessage, maxBodyBytes: number): number {
  const headers = incoming.headers;
  const encoding = headers["content-encoding"];
  if (encoding !== undefined)
    throw new WireError(
      "unsupported_media_type",
      `content-encoding "${encoding}" is not taken: send the bytes as they are`,
    );
  const text = headers["content-length"];
  if (text === undefined || headers["transfer-encoding"] !== undefined)
    throw new WireError("length_required", "send the body with content-length, not chunked");
  const length = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(length))
    throw new WireError("malformed", `content-length "${text}" is not a number of bytes`);
  if (length === 0) throw new WireError("malformed", "the body is empty");
  if (length > maxBodyBytes)
    throw new WireError(
      "too_large",
      `the body has ${length} bytes, the limit maxBodyBytes is ${maxBodyBytes}`,
      { extra: { limit: "maxBodyBytes" } },
    );
  return length;
}

/** The media type of a request's body in lower case, its parameters left out. */
export function mediaType(incoming: IncomingMessage): string | undefined {
  return incoming.headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
}

/**
 * Receives a request to compute: head, then images straight from the socket into one shared buffer, hashed as they
 * arrive, so that neither a second copy nor a second pass over the bytes is needed.
 *
 * @param accept sees the head before the images are given memory; what it throws refuses the request
 * @param signal ends the wait for a slow client; its reason is thrown
 * @throws WireError `malformed` when the body is not a request; ClientGone when its connection ends within it
 */
export async function receive<H extends Placed>(
  incoming: IncomingMessage,
  length: number,
  beginning: Beginning<H>,
  accept: (head: H) => void,
  signal: AbortSignal,
): Promise<Received<H>> {
  const hash = createHash("sha256");
  const start = new Uint8Array(beginning.bytes);
  let started = 0;
  let head: H | undefined;
  let data = new Uint8Array(new SharedArrayBuffer(0));
  let filled = 0;

  function keep(bytes: Uint8Array): void {
    data.set(bytes, filled);
    hash.update(bytes);
    filled += bytes.length;
  }
  function take(chunk: Uint8Array): void {
    if (head) {
      keep(chunk);
      return;
    }
    const first = chunk.subarray(0, start.length - started);
    start.set(first, started);
    started += first.length;
    if (started < start.length) return;
    head = beginning.read(start);
    accept(head);
    data = takeImageMemory(head.dataLength);
    keep(start.subarray(head.dataOffset));
    keep(chunk.subarray(first.length));
  }

  await everyChunk(incoming, take, signal);
  if (!head || filled !== head.dataLength) throw endedEarly(length);
  return { head, data, digest: digestFromHash(hash.digest()) };
}

/** A body that is shorter than announced. */
export function endedEarly(length: number): WireError {
  return new WireError(
    "malformed",
    `the body ended before the ${length} bytes that content-length announced`,
  );
}

/**
 * Calls `take` with each chunk up to the body's end; leaves the stream paused, and open, when it throws.
 *
 * @param take may answer a promise: the next chunk then waits for it
 */
export function everyChunk(
  incoming: IncomingMessage,
  take: (chunk: Buffer) => void | Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let listening = true;
  let taking: Promise<void> | undefined;
  const fail = (error: unknown) => {
    reject(error);
    incoming.pause();
    incoming.off("data", onData);
  };
  const onData = (chunk: Buffer) => {
    try {
      taking = take(chunk) ?? undefined;
      if (!taking) return;
      incoming.pause();
      taking.then(() => {
        if (listening) incoming.resume();
      }, fail);
    } catch (error) {
      fail(error);
    }
  };
  // The end, and that the stream is closed after it, may be told while the last chunk is still taken.
  const onEnd = () => {
    incoming.off("close", onClose);
    if (taking) taking.then(resolve, fail);
    else resolve();
  };
  const onAbort = () => reject(signal.reason);
  const onClose = () => reject(new ClientGone());
  incoming.on("data", onData).on("end", onEnd).on("error", onClose).on("close", onClose);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  return promise.finally(() => {
    listening = false;
    incoming.pause();
    incoming.off("data", onData).off("end", onEnd).off("close", onClose);
    // An error may still follow; without a listener it would end the process.
    incoming.off("error", onClose).on("error", () => {});
    signal.removeEventListener("abort", onAbort);
  });
}
