import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import {
  digestFromHash,
  HEAD_BYTES,
  MSGPACK_TYPE,
  type RequestHead,
  readRequestHead,
  WireError,
} from "@funmatch/wire";

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

/**
 * Reads what a request's headers say of its body, before any of it is read.
 *
 * @returns the announced length
 * @throws WireError `unsupported_media_type`, `length_required`, `malformed` or `too_large`
 */
export function announcedLength(incoming: IncomingMessage, maxBodyBytes: number): number {
  const headers = incoming.headers;
  const encoding = headers["content-encoding"];
  if (encoding !== undefined)
    throw new WireError(
      "unsupported_media_type",
      `content-encoding "${encoding}" is not taken: send the bytes as they are`,
    );
  const type = headers["content-type"];
  if (type?.split(";")[0]?.trim().toLowerCase() !== MSGPACK_TYPE)
    throw new WireError(
      "unsupported_media_type",
      `content-type is ${type ? `"${type}"` : "missing"}: expected ${MSGPACK_TYPE}`,
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

/**
 * Receives a logits request: head, then images straight from the socket into one shared buffer, hashed as they
 * arrive, so that neither a second copy nor a second pass over the bytes is needed.
 *
 * @param accept sees the head before the images are given memory; what it throws refuses the request
 * @param signal ends the wait for a slow client; its reason is thrown
 * @throws WireError `malformed` when the body is not a request; ClientGone when its connection ends within it
 */
export async function receive(
  incoming: IncomingMessage,
  length: number,
  accept: (head: RequestHead) => void,
  signal: AbortSignal,
): Promise<Received<RequestHead>> {
  const headLength = Math.min(HEAD_BYTES, length);
  const hash = createHash("sha256");
  let start: Buffer = Buffer.alloc(0);
  let head: RequestHead | undefined;
  let data = new Uint8Array(new SharedArrayBuffer(0));
  let filled = 0;

  function keep(bytes: Uint8Array): void {
    data.set(bytes, filled);
    hash.update(bytes);
    filled += bytes.length;
  }
  function take(chunk: Buffer): void {
    if (head) {
      keep(chunk);
      return;
    }
    start = start.length === 0 ? chunk : Buffer.concat([start, chunk]);
    if (start.length < headLength) return;
    head = readRequestHead(start.subarray(0, headLength), length);
    accept(head);
    data = new Uint8Array(new SharedArrayBuffer(head.dataLength));
    keep(start.subarray(head.dataOffset));
  }

  await everyChunk(incoming, take, signal);
  if (!head || filled !== head.dataLength)
    throw new WireError(
      "malformed",
      `the body ended before the ${length} bytes that content-length announced`,
    );
  return { head, data, digest: digestFromHash(hash.digest()) };
}

/** Calls `take` with each chunk up to the body's end; leaves the stream paused, and open, when it throws. */
function everyChunk(
  incoming: IncomingMessage,
  take: (chunk: Buffer) => void,
  signal: AbortSignal,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onData = (chunk: Buffer) => {
    try {
      take(chunk);
    } catch (error) {
      reject(error);
      incoming.pause();
      incoming.off("data", onData);
    }
  };
  const onAbort = () => reject(signal.reason);
  const onClose = () => reject(new ClientGone());
  incoming.on("data", onData).on("end", resolve).on("error", onClose).on("close", onClose);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  return promise.finally(() => {
    incoming.pause();
    incoming.off("data", onData).off("end", resolve).off("close", onClose);
    // An error may still follow; without a listener it would end the process.
    incoming.off("error", onClose).on("error", () => {});
    signal.removeEventListener("abort", onAbort);
  });
}
