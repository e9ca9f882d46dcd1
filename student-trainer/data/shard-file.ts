import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { UserError } from "@funmatch/config";

/** A file of which parts are read where they lie. */
export interface ShardFile {
  path: string;
  size: number;
  /**
   * Exactly `length` bytes from `offset` on, in memory of their own.
   *
   * @throws UserError if the file has become shorter
   */
  read(offset: number, length: number): Uint8Array;
}

/**
 * Opens a file for as long as `use` runs.
 *
 * @throws UserError if it cannot be opened or is not a file
 */
export function withShard<T>(path: string, use: (file: ShardFile) => T): T {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    throw new UserError(`the shard ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new UserError(`the shard ${path} is not a file`);
    return use({ path, size: stat.size, read: (offset, length) => readExactly(file, path, offset, length) });
  } finally {
    closeSync(file);
  }
}

function readExactly(file: number, path: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const read = readSync(file, bytes, at, length - at, offset + at);
    if (read === 0) throw new UserError(`the shard ${path} has become shorter`);
    at += read;
  }
  return bytes;
}
