import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { afterEach } from "vitest";
import { ZipFile } from "yazl";

const made: string[] = [];
afterEach(async () => {
  await Promise.all(made.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
});

/** A path in a folder of its own, gone after the test. */
export async function scratchFile(name = "file.npz"): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "models-"));
  made.push(folder);
  return join(folder, name);
}

/** A .npy file as numpy writes it, or as a liar would: the header and the bytes need not agree. */
export function npy(descr: string, shape: string, data: Uint8Array | number[], fortran = false): Buffer {
  const text = `{'descr': ${descr}, 'fortran_order': ${fortran ? "True" : "False"}, 'shape': ${shape}, }`;
  const header = Buffer.from(`${text.padEnd(117)}\n`, "latin1");
  const length = Buffer.alloc(2);
  length.writeUInt16LE(header.length);
  return Buffer.concat([Buffer.from("\x93NUMPY\x01\x00", "latin1"), length, header, Buffer.from(data)]);
}

export const bytesOf = (array: Float32Array | Uint16Array | Int32Array | BigInt64Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** Writes a zip file with these members, by default stored. */
export async function zip(
  members: Record<string, Buffer>,
  options: { compress?: boolean; forceZip64Format?: boolean } = {},
): Promise<string> {
  const path = await scratchFile();
  const file = new ZipFile();
  for (const [name, content] of Object.entries(members))
    file.addBuffer(content, name, { compress: false, ...options });
  file.end({ forceZip64Format: options.forceZip64Format ?? false, comment: "" });
  await pipeline(file.outputStream, createWriteStream(path));
  return path;
}
