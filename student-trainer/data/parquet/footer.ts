import { UserError } from "@funmatch/config";
import { type FileMetaData, parquetMetadata } from "hyparquet";
import type { ShardFile } from "../shard-file.ts";
import { endOfThrift } from "./thrift-bounds.ts";

/** Magic number, and length of the metadata with the magic number after it. */
const TAIL = 8;
const LARGEST_FOOTER = 2 ** 28;

/**
 * Reads the metadata at the end of a Parquet file. Nothing that it says has been checked against the file.
 *
 * @returns the metadata, and its bytes
 * @throws UserError if there is none
 */
export function readFooter(file: ShardFile): { metadata: FileMetaData; bytes: Uint8Array } {
  const { path, size } = file;
  const fail = (what: string): never => {
    throw new UserError(`${path} is not a whole Parquet file: ${what}`);
  };
  if (size < TAIL + 4) fail(`it has ${size} bytes`);
  const tail = Buffer.from(file.read(size - TAIL, TAIL));
  const magic = tail.toString("latin1", 4);
  if (magic === "PARE") throw new UserError(`${path} is an encrypted Parquet file, which is not read`);
  if (magic !== "PAR1") fail("it does not end with PAR1");
  const length = tail.readUInt32LE(0);
  if (length > Math.min(size - TAIL - 4, LARGEST_FOOTER)) fail(`it claims ${length} bytes of metadata`);
  const bytes = file.read(size - TAIL - length, length + TAIL);
  try {
    if (endOfThrift(bytes.subarray(0, length), 0) === undefined) fail("its metadata is cut off");
    return { metadata: parquetMetadata(bytes, { geoparquet: false }), bytes };
  } catch (error) {
    if (error instanceof UserError) throw error;
    return fail(`its metadata is damaged (${(error as Error).message})`);
  }
}
