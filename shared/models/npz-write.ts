import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ZipFile } from "yazl";
import { narrowToBfloat16 } from "./half.ts";
import type { NpyArray } from "./npy.ts";
import { ArrayFileError, byteLength, writeNpyHeader } from "./npy-header.ts";

/** One fixed date, so that equal arrays make equal files. */
const MTIME = new Date(1980, 0, 1, 0, 0, 0);

/**
 * Writes an `.npz` file that numpy, JAX and `readNpz` read: members stored uncompressed (weights hardly shrink),
 * zip64 where needed. The file appears under its name only when it is complete and on disk.
 *
 * @throws ArrayFileError when an array's data does not fit its dtype and shape
 */
export async function writeNpz(
  path: string,
  arrays: Map<string, NpyArray> | Record<string, NpyArray>,
): Promise<void> {
  const zip = new ZipFile();
  for (const [name, array] of arrays instanceof Map ? arrays : Object.entries(arrays)) {
    const head = writeNpyHeader(array.dtype, array.shape);
    const body = bytesOf(name, array);
    zip.addReadStreamLazy(
      `${name}.npy`,
      { compress: false, size: head.length + body.length, mtime: MTIME, forceDosTimestamp: true },
      (done) => done(null, Readable.from([head, body], { objectMode: false })),
    );
  }
  zip.end();
  const unfinished = `${path}.${randomUUID()}.tmp`;
  const failed = new Promise<never>((_, reject) => zip.once("error", reject));
  try {
    const write = pipeline(zip.outputStream, createWriteStream(unfinished, { flush: true }));
    await Promise.race([write, failed]);
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

function bytesOf(name: string, { dtype, shape, data }: NpyArray): Buffer {
  if (dtype === "float16") throw new ArrayFileError(`${name}: float16 is read, not written; write float32`);
  const stored = dtype === "bfloat16" && data instanceof Float32Array ? narrowToBfloat16(data) : data;
  if (stored.byteLength !== byteLength({ dtype, shape }))
    throw new ArrayFileError(`${name}: ${stored.byteLength} bytes do not make shape [${shape}] of ${dtype}`);
  return Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
}
