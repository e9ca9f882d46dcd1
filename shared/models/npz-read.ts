import { stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { crc32 } from "node:zlib";
import { type Entry, openPromise, type ZipFile } from "yauzl";
import { type NpyArray, readNpyStream } from "./npy.ts";
import { ArrayFileError } from "./npy-header.ts";

/** Deflate cannot do better than this; a member that claims more is lying, and is not allocated. */
const BEST_DEFLATE_RATIO = 1032;
const SMALLEST_DEFAULT_LIMIT = 2 ** 30;

export interface ReadNpzOptions {
  /** Most bytes the arrays read may take together once unpacked. Default: twice the file, at least 1 GiB. */
  maxBytes?: number;
  /** Which arrays to read, by name (without `.npy`); the others are not even opened. Default: all. */
  only?: (name: string) => boolean;
}

/**
 * Reads the arrays of an `.npz` file (`numpy.savez`, `savez_compressed`; zip64 too), one after the other and each
 * straight into its final memory. Files come from strangers: nothing in them is executed, no name in them is used as
 * a path, and every size is checked before it is allocated.
 *
 * @throws ArrayFileError naming file, array and fault
 * @example const logits = (await readNpz("predictions-test.npz")).get("student");
 */
export async function readNpz(path: string, options: ReadNpzOptions = {}): Promise<Map<string, NpyArray>> {
  const arrays = new Map<string, NpyArray>();
  await eachMember(path, options, async (name, entry, stream) => {
    arrays.set(name, await readNpyStream(stream, entry.uncompressedSize, `${path}: ${name}`));
  });
  return arrays;
}

/** Names of the arrays in an `.npz` file, in file order; nothing is unpacked. */
export async function namesInNpz(path: string): Promise<string[]> {
  const names: string[] = [];
  const only = (name: string): boolean => {
    names.push(name);
    return false;
  };
  await eachMember(path, { only }, async () => {});
  return names;
}

/** The bytes of one member as they are, for what is not an array that `readNpz` reads. */
export async function readNpzMember(path: string, name: string, maxBytes?: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await eachMember(path, { maxBytes, only: (found) => found === name }, async (_, __, stream) => {
    for await (const chunk of stream) chunks.push(chunk);
  });
  if (chunks.length === 0) throw new ArrayFileError(`${path}: has no array "${name}"`);
  return Buffer.concat(chunks);
}

async function eachMember(
  path: string,
  options: ReadNpzOptions,
  read: (name: string, entry: Entry, stream: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  const zip = await openZip(path);
  try {
    const fileBytes = (await stat(path)).size;
    const maxBytes = options.maxBytes ?? Math.max(2 * fileBytes, SMALLEST_DEFAULT_LIMIT);
    const seen = new Set<string>();
    let total = 0;
    for await (const entry of zip.eachEntry()) {
      const name = entry.fileName.replace(/\.npy$/, "");
      const where = `${path}: ${name}`;
      if (seen.has(name)) throw new ArrayFileError(`${where}: occurs twice`);
      seen.add(name);
      if (options.only && !options.only(name)) continue;
      total += entry.uncompressedSize;
      if (total > maxBytes)
        throw new ArrayFileError(`${where}: the arrays take more than ${maxBytes} bytes unpacked`);
      const possible = entry.compressedSize * (entry.compressionMethod === 0 ? 1 : BEST_DEFLATE_RATIO);
      if (entry.uncompressedSize > possible || entry.compressedSize > fileBytes)
        throw new ArrayFileError(
          `${where}: claims ${entry.uncompressedSize} bytes, more than the file can hold`,
        );
      const sum = { crc: 0 };
      await read(name, entry, summed(await zip.openReadStreamPromise(entry), sum));
      if (sum.crc !== entry.crc32)
        throw new ArrayFileError(`${where}: its checksum is wrong, the file is damaged`);
    }
  } catch (error) {
    if (error instanceof ArrayFileError) throw error;
    throw new ArrayFileError(`${path}: ${(error as Error).message}`);
  } finally {
    zip.close();
  }
}

async function openZip(path: string): Promise<ZipFile> {
  try {
    return await openPromise(path, { autoClose: false });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") throw new ArrayFileError(`there is no file ${path}`);
    throw new ArrayFileError(`${path} is not an .npz file: ${(error as Error).message}`);
  }
}

/** Passes a member's bytes on and keeps their CRC-32, which the unpacker itself does not look at. */
async function* summed(stream: Readable, sum: { crc: number }): AsyncGenerator<Buffer> {
  for await (const chunk of stream) {
    sum.crc = crc32(chunk as Buffer, sum.crc);
    yield chunk as Buffer;
  }
}
