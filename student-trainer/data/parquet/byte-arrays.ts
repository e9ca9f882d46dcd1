import { deltaBinaryUnpack } from "hyparquet/src/delta.js";
import type { ShardFile } from "../shard-file.ts";
import { viewOf } from "./data-page.ts";
import type { PageBytes } from "./page-bytes.ts";

/** Where each of a page's byte strings lies in it. */
export interface ByteArrays {
  bytes: PageBytes;
  starts: Uint32Array;
  lengths: Uint32Array;
}

/**
 * Finds the byte strings of a page without reading them.
 *
 * @throws Error if the page is damaged, or encoded in a way that is not read
 */
export function findByteArrays(
  file: ShardFile,
  encoding: string,
  bytes: PageBytes,
  count: number,
): ByteArrays {
  if (encoding === "PLAIN" && 4 * count > bytes.length)
    throw new Error(`${count} values in ${bytes.length} bytes`);
  const found = { bytes, starts: new Uint32Array(count), lengths: new Uint32Array(count) };
  if (encoding === "PLAIN") findPlain(file, found);
  else if (encoding === "DELTA_LENGTH_BYTE_ARRAY") findByLengths(file, found);
  else throw new Error(`encoded as ${encoding}, which is not read`);
  return found;
}

/** Each byte string comes after its length. */
function findPlain(file: ShardFile, { bytes, starts, lengths }: ByteArrays): void {
  let at = 0;
  for (let i = 0; i < starts.length; i++) {
    const length = viewOf(bytes.slice(file, at, at + 4)).getUint32(0, true);
    starts[i] = at + 4;
    lengths[i] = length;
    at += 4 + length;
    if (at > bytes.length) throw new Error("a value reaches beyond its page");
  }
}

/** All lengths come first. */
function findByLengths(file: ShardFile, { bytes, starts, lengths }: ByteArrays): void {
  if (starts.length === 0) return;
  const reader = { view: viewOf(bytes.slice(file, 0, bytes.length)), offset: 0 };
  const read = new Int32Array(starts.length);
  deltaBinaryUnpack(reader, read.length, read);
  let at = reader.offset;
  for (const [i, length] of read.entries()) {
    if (length < 0) throw new Error("a negative length");
    starts[i] = at;
    lengths[i] = length;
    at += length;
  }
  if (at > bytes.length) throw new Error("a value reaches beyond its page");
}

/** The i-th byte string. */
export function byteArray(file: ShardFile, { bytes, starts, lengths }: ByteArrays, i: number): Uint8Array {
  if (!(i < starts.length)) throw new Error(`value ${i} of ${starts.length}`);
  return bytes.slice(file, starts[i]!, starts[i]! + lengths[i]!);
}
