import { readFile } from "node:fs/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { UserError } from "@funmatch/config";

/** An array of bytes in the IDX format of MNIST, row-major. */
export interface Idx {
  shape: number[];
  data: Uint8Array;
}

const UINT8 = 0x08;
const MOST_BYTES = 2 ** 31;

/**
 * Reads a gzipped IDX file of uint8 values with `dimensions` dimensions: images are [N, H, W], labels [N].
 *
 * @throws UserError if the file is missing or is not such a file.
 */
export async function readIdx(path: string, dimensions: number): Promise<Idx> {
  const packed = await readFile(path).catch(() => {
    throw new UserError(`${path} is missing`);
  });
  let bytes: Buffer;
  try {
    bytes = gunzipSync(packed, { maxOutputLength: MOST_BYTES });
  } catch {
    throw new UserError(`${path} is not a whole gzip file`);
  }
  const headerLength = 4 + 4 * dimensions;
  const magic = (UINT8 << 8) | dimensions;
  if (bytes.length < headerLength || bytes.readUInt32BE(0) !== magic) {
    throw new UserError(`${path} is not an IDX file of uint8 values with ${dimensions} dimension(s)`);
  }
  const shape = Array.from({ length: dimensions }, (_, i) => bytes.readUInt32BE(4 + 4 * i));
  const count = shape.reduce((a, b) => a * b, 1);
  if (bytes.length !== headerLength + count) {
    throw new UserError(
      `${path} holds ${bytes.length - headerLength} values, but its header says ${shape.join(" x ")}`,
    );
  }
  return { shape, data: bytes.subarray(headerLength) };
}

/** The bytes of a gzipped IDX file, without a time stamp: equal arrays give equal files. */
export function packIdx({ shape, data }: Idx): Uint8Array {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.writeUInt32BE((UINT8 << 8) | shape.length, 0);
  for (const [i, side] of shape.entries()) header.writeUInt32BE(side, 4 + 4 * i);
  return gzipSync(Buffer.concat([header, data]), { level: 9, memLevel: 9 });
}
