import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { setImmediate } from "node:timers/promises";
import { digestFromHash, WireError } from "@funmatch/wire";
import {
  INFERENCE_HEADER,
  type InferHead,
  MOST_JSON_BYTES,
  type Numbers,
  readInferRequest,
  requestJson,
} from "@funmatch/wire/oip";
import {
  announcedLength,
  endedEarly,
  everyChunk,
  mediaType,
  type Received,
  receive,
} from "../request/body.ts";
import { takeImageMemory } from "../request/image-memory.ts";
import type { Announced } from "../request/inference.ts";

/** What clients of the protocol send (Triton's none at all, curl a form's): the body says for itself what it is. */
const TYPES = [
  undefined,
  "application/json",
  "application/octet-stream",
  "application/x-www-form-urlencoded",
];

/** Text of two bytes, `0,`, may be a number of four. */
const GROWTH = 2;

/**
 * Reads a request's headers. A body whose tensor is JSON may be half as long as one with bytes, since its numbers may
 * take twice as much memory.
 *
 * @throws WireError `unsupported_media_type`, `length_required`, `malformed` or `too_large`
 */
export function announced(incoming: IncomingMessage, maxBodyBytes: number): Announced {
  const type = mediaType(incoming);
  if (!TYPES.includes(type))
    throw new WireError(
      "unsupported_media_type",
      `content-type is "${type}": expected application/json, or application/octet-stream with ${INFERENCE_HEADER}`,
    );
  const length = announcedLength(incoming, maxBodyBytes);
  if (jsonLength(incoming, length) < length) return { length, holds: length };
  if (length > maxBodyBytes / GROWTH)
    throw new WireError(
      "too_large",
      `the JSON has ${length} bytes, the limit is half of maxBodyBytes, ${Math.floor(maxBodyBytes / GROWTH)}: send the tensor as bytes`,
      { extra: { limit: "maxBodyBytes" } },
    );
  return { length, holds: length * GROWTH };
}

/** How much of the body is JSON: all of it, unless a header tells. */
function jsonLength(incoming: IncomingMessage, length: number): number {
  const told = incoming.headers[INFERENCE_HEADER];
  if (told === undefined) return length;
  if (typeof told !== "string" || !/^\d{1,16}$/.test(told) || Number(told) > length)
    throw new WireError(
      "malformed",
      `${INFERENCE_HEADER}: "${told}" is no part of the body's ${length} bytes`,
    );
  const json = Number(told);
  if (json < length && json > MOST_JSON_BYTES)
    throw new WireError(
      "too_large",
      `${INFERENCE_HEADER}: JSON before bytes takes at most ${MOST_JSON_BYTES} bytes, not ${json}`,
    );
  return json;
}

/** Receives a request whose tensor is bytes behind the JSON, numbers in it, or all of the body. */
export function receiveInfer(
  incoming: IncomingMessage,
  length: number,
  accept: (head: InferHead) => void,
  signal: AbortSignal,
  side: number,
): Promise<Received<InferHead>> {
  const json = jsonLength(incoming, length);
  if (json === length) return receiveNumbers(incoming, length, accept, signal);
  const read = (start: Uint8Array) => {
    if (json === 0) return { ...rawHead(side, length), dataOffset: 0 };
    const reader = requestJson();
    reader.push(start);
    return { ...readInferRequest(reader.end(), length - json), dataOffset: json };
  };
  return receive(incoming, length, { bytes: json, read }, accept, signal);
}

/** Of a body that is a tensor and nothing else, which Triton calls a raw binary request: one image. */
function rawHead(side: number, length: number): InferHead {
  const dataLength = side * side * 3;
  if (length !== dataLength)
    throw new WireError(
      "malformed",
      `${INFERENCE_HEADER} is 0: then the body is one image, UINT8 [1,${side},${side},3], ${dataLength} bytes, not ${length}`,
    );
  return { purpose: "train", dtype: "uint8", shape: [1, side, side, 3], dataLength, binaryLogits: true };
}

/** Whose turn it is to read text. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Waits for a turn of the event loop that nobody else reads text in. A chunk takes up to a millisecond, and a socket may
 * bring 32 of them at once, so however many clients send JSON, others are not kept waiting.
 */
function turn(): Promise<unknown> {
  last = last.then(() => setImmediate());
  return last;
}

async function receiveNumbers(
  incoming: IncomingMessage,
  length: number,
  accept: (head: InferHead) => void,
  signal: AbortSignal,
): Promise<Received<InferHead>> {
  const reader = requestJson();
  let arrived = 0;
  await everyChunk(
    incoming,
    async (chunk) => {
      arrived += chunk.length;
      await turn();
      reader.push(chunk);
    },
    signal,
  );
  if (arrived !== length) throw endedEarly(length);
  const json = reader.end();
  const head = readInferRequest(json, 0);
  accept(head);
  return { head, ...(await tensorOf(json.numbers!, head)) };
}

/**
 * The numbers as the tensor's bytes. There may be many: each piece is let go once it is copied, and between pieces others
 * get the thread.
 */
async function tensorOf(
  { pieces }: Numbers,
  { dtype, dataLength }: InferHead,
): Promise<{ data: Uint8Array<SharedArrayBuffer>; digest: string }> {
  const data = takeImageMemory(dataLength);
  const values = dtype === "uint8" ? data : new Float32Array(data.buffer, 0, dataLength / 4);
  const hash = createHash("sha256");
  let filled = 0;
  for (let piece = pieces.shift(); piece; piece = pieces.shift()) {
    values.set(piece, filled);
    const { BYTES_PER_ELEMENT } = values;
    hash.update(data.subarray(filled * BYTES_PER_ELEMENT, (filled + piece.length) * BYTES_PER_ELEMENT));
    filled += piece.length;
    await turn();
  }
  return { data, digest: digestFromHash(hash.digest()) };
}
