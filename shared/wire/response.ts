/** The logits answer: `{ model, version, digest, logits: { dtype, shape, data } }`, in any order of keys. */
import { isDigest } from "./digest.ts";
import {
  type Cursor,
  cursor,
  malformed,
  need,
  quoted,
  readBinarySize,
  readMapSize,
  readString,
} from "./msgpack-reader.ts";
import { packUpToBinary } from "./msgpack-writer.ts";
import { WireError } from "./problem.ts";
import { bytesOf, readShape } from "./shape.ts";

/** What a teacher says about one batch. */
export interface LogitsAnswer {
  model: string;
  /** Version of the model that answered, "sha256:…". */
  version: string;
  /** Digest of the image bytes that were received. */
  digest: string;
  /** [N,K], row-major, little-endian. */
  logits: { dtype: "float32"; shape: [number, number]; data: Uint8Array };
}

const LONGEST_STRING = 1024;

/** Packs an answer. Throws WireError `malformed` for one that `decodeAnswer` would refuse. */
export function encodeAnswer(answer: LogitsAnswer): Uint8Array<ArrayBuffer> {
  const { model, version, digest, logits } = answer;
  const { dtype, shape, data } = logits;
  const empty = new Uint8Array();
  const head = packUpToBinary(
    { model, version, digest, logits: { dtype, shape, data: empty } },
    data.byteLength,
  );
  const message = new Uint8Array(head.length + data.byteLength);
  message.set(head);
  message.set(data, head.length);
  decodeAnswer(message);
  return message;
}

/**
 * Unpacks an answer; `logits.data` is a view into `bytes`, not a copy. Refuses unknown, missing and repeated
 * keys, wrong types, a shape that does not fit the data, and bytes left over, with WireError `malformed`.
 */
export function decodeAnswer(bytes: Uint8Array): LogitsAnswer {
  const c = cursor(bytes, bytes.length, "truncated, the message ends");
  const answer = readFields<LogitsAnswer>(c, "answer", {
    model: (place) => readString(c, place, LONGEST_STRING),
    version: (place) => readDigest(c, place),
    digest: (place) => readDigest(c, place),
    logits: (place) => readLogits(c, place),
  });
  if (c.at !== c.end) throw malformed("answer", "expected the end of the message, got more bytes", c.at);
  return answer;
}

/** Little-endian float32 bytes as numbers: a view where they are aligned, else a copy. */
export function floats(data: Uint8Array): Float32Array {
  if (data.byteLength % 4 !== 0) {
    throw new WireError("malformed", `float32 data has a multiple of 4 bytes, not ${data.byteLength}`);
  }
  const aligned = data.byteOffset % 4 === 0 ? data : new Uint8Array(data); // not slice(): a Buffer's does not copy
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}

function readLogits(c: Cursor, place: string): LogitsAnswer["logits"] {
  const start = c.at;
  const logits = readFields<LogitsAnswer["logits"]>(c, place, {
    dtype: (at) => {
      const dtype = readString(c, at, LONGEST_STRING);
      if (dtype !== "float32") throw malformed(at, `expected "float32", got ${quoted(dtype)}`, start);
      return dtype;
    },
    shape: (at) => readShape(c, at, 2) as [number, number],
    data: (at) => {
      const size = readBinarySize(c, at);
      need(c, at, size);
      c.at += size;
      return c.bytes.subarray(c.at - size, c.at);
    },
  });
  const expected = bytesOf(logits.shape, 4);
  if (expected !== logits.data.byteLength) {
    const wanted = expected === undefined ? "more bytes than a message can hold" : `${expected} bytes`;
    const got = logits.data.byteLength;
    throw malformed(`${place}.data`, `float32 [${logits.shape}] is ${wanted}, got ${got}`, start);
  }
  return logits;
}

function readDigest(c: Cursor, place: string): string {
  const at = c.at;
  const digest = readString(c, place, LONGEST_STRING);
  if (isDigest(digest)) return digest;
  throw malformed(place, `expected "sha256:" and 64 lower-case hex digits, got ${quoted(digest)}`, at);
}

/** Reads a map that has exactly the keys of `readers`, each once. */
function readFields<T extends object>(
  c: Cursor,
  place: string,
  readers: { [K in keyof T]: (place: string) => T[K] },
): T {
  const start = c.at;
  const names = Object.keys(readers);
  const entries = readMapSize(c, place);
  if (entries !== names.length) {
    throw malformed(place, `expected the keys ${names.join(", ")}, got ${entries} keys`, start);
  }
  const fields: Partial<T> = {};
  for (let i = 0; i < entries; i++) {
    const at = c.at;
    const key = readString(c, `key of ${place}`, LONGEST_STRING);
    if (!Object.hasOwn(readers, key)) throw malformed(`key of ${place}`, `unknown ${quoted(key)}`, at);
    if (Object.hasOwn(fields, key)) throw malformed(`key of ${place}`, `repeated ${quoted(key)}`, at);
    const name = key as keyof T & string;
    fields[name] = readers[name](place === "answer" ? name : `${place}.${name}`);
  }
  return fields as T; // as many distinct known keys as there are
}
