/**
 * The logits request: `{ purpose, digest, images: { dtype, shape, data } }`, keys in this order, `data` last,
 * its first byte within the first 512 bytes. So a body is a small head followed by the image bytes as they
 * are, and whoever forwards it knows all but the pixels before the pixels arrive.
 */
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

/** Training answers are never cached anywhere, evaluation answers may be. */
export type Purpose = "train" | "eval";

/** Pixels are 0..255 in either dtype, row-major, little-endian. */
export type ImageDtype = "uint8" | "float32";

/** All of a request but its pixels. */
export interface RequestHead {
  purpose: Purpose;
  /** Claimed digest of the image bytes; always there for "train". */
  digest?: string;
  dtype: ImageDtype;
  /** [N,H,W,C] */
  shape: [number, number, number, number];
  /** Where the image bytes begin in the body; less than 512. */
  dataOffset: number;
  /** Number of image bytes: the product of `shape` times the bytes of an element. */
  dataLength: number;
}

/** The image bytes of a request begin within this many bytes. */
export const HEAD_BYTES = 512;

const BYTES_PER_ELEMENT: Record<ImageDtype, number> = { uint8: 1, float32: 4 };

/**
 * Reads the head of a request from the first bytes of its body: the first 512, or all if it is shorter.
 * `contentLength` is the length of the whole body, which the image bytes must end exactly.
 * Throws WireError `malformed`, naming the place, `bad_dtype`, or `length_required`.
 */
export function readRequestHead(prefix: Uint8Array, contentLength: number): RequestHead {
  if (!Number.isSafeInteger(contentLength) || contentLength < 0) {
    throw new WireError("length_required", "the length of the body must be known before it is read");
  }
  if (prefix.length > contentLength) {
    throw malformed("body", `longer than its Content-Length of ${contentLength}`, contentLength);
  }
  const c =
    contentLength > HEAD_BYTES && prefix.length >= HEAD_BYTES
      ? cursor(prefix, HEAD_BYTES, `images.data does not begin within the first ${HEAD_BYTES} bytes`)
      : cursor(prefix, prefix.length, "truncated, the message ends");

  const { purpose, digest } = readPurposeAndDigest(c);
  expectKey(c, "images", "request");
  const start = c.at;
  const entries = readMapSize(c, "images");
  if (entries !== 3) throw malformed("images", `expected dtype, shape and data, got ${entries} keys`, start);

  expectKey(c, "dtype", "images");
  const dtype = readDtype(c);
  expectKey(c, "shape", "images");
  const shape = readShape(c, "images.shape", 4) as RequestHead["shape"];
  expectKey(c, "data", "images");
  const dataLength = readBinarySize(c, "images.data");
  const dataOffset = c.at;
  const expected = bytesOf(shape, BYTES_PER_ELEMENT[dtype]);
  if (expected !== dataLength) {
    const wanted = expected === undefined ? "more bytes than a message can hold" : `${expected} bytes`;
    throw malformed("images.data", `${dtype} [${shape}] is ${wanted}, got ${dataLength}`, dataOffset);
  }
  need(c, "images.data", 1);
  if (dataOffset + dataLength !== contentLength) {
    const ends = `must end the body of ${contentLength} bytes, but ends`;
    throw malformed("images.data", ends, dataOffset + dataLength);
  }
  return { purpose, ...(digest === undefined ? {} : { digest }), dtype, shape, dataOffset, dataLength };
}

/**
 * The bytes of a request before its pixels; the body is this head followed by the pixels, uncopied.
 * Throws WireError `malformed` for a head that `readRequestHead` would refuse.
 */
export function encodeRequestHead(head: {
  purpose: Purpose;
  digest?: string;
  dtype: ImageDtype;
  /** [N,H,W,C] */
  shape: readonly number[];
}): Uint8Array<ArrayBuffer> {
  const { purpose, digest, dtype, shape } = head;
  const dataLength = bytesOf(shape, BYTES_PER_ELEMENT[dtype]);
  if (dataLength === undefined) {
    throw new WireError("malformed", `images.shape: [${shape}] is more bytes than a message can hold`);
  }
  const images = { dtype, shape: [...shape], data: new Uint8Array() };
  const message = digest === undefined ? { purpose, images } : { purpose, digest, images };
  const encoded = packUpToBinary(message, dataLength);
  // Read back what was written (with a byte standing for the pixels), so that a wrong head fails here.
  const withPixel = new Uint8Array(encoded.length + 1);
  withPixel.set(encoded);
  readRequestHead(withPixel, encoded.length + dataLength);
  return encoded;
}

function readPurposeAndDigest(c: Cursor): { purpose: Purpose; digest?: string } {
  const entries = readMapSize(c, "request");
  if (entries !== 2 && entries !== 3) {
    throw malformed("request", `expected purpose, digest and images, got ${entries} keys`, 0);
  }
  expectKey(c, "purpose", "request");
  let at = c.at;
  const purpose = readString(c, "purpose", HEAD_BYTES);
  if (purpose !== "train" && purpose !== "eval") {
    throw malformed("purpose", `expected "train" or "eval", got ${quoted(purpose)}`, at);
  }
  if (entries === 2) {
    if (purpose === "train") throw malformed("digest", 'required where purpose is "train", missing', c.at);
    return { purpose };
  }
  expectKey(c, "digest", "request");
  at = c.at;
  const digest = readString(c, "digest", HEAD_BYTES);
  if (!isDigest(digest)) {
    throw malformed("digest", `expected "sha256:" and 64 lower-case hex digits, got ${quoted(digest)}`, at);
  }
  return { purpose, digest };
}

function readDtype(c: Cursor): ImageDtype {
  const at = c.at;
  const dtype = readString(c, "images.dtype", HEAD_BYTES);
  if (dtype === "uint8" || dtype === "float32") return dtype;
  throw new WireError(
    "bad_dtype",
    `images.dtype: expected "uint8" or "float32", got ${quoted(dtype)} at byte ${at}`,
  );
}

function expectKey(c: Cursor, key: string, where: string): void {
  const at = c.at;
  const got = readString(c, `key of ${where}`, HEAD_BYTES);
  if (got !== key) throw malformed(`key of ${where}`, `expected ${quoted(key)}, got ${quoted(got)}`, at);
}
