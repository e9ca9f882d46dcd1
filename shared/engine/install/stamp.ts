import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * A directory is whole if its `stamp.json`, written last, says what it was made from and every file named there
 * is still there with its size. Anything else counts as absent and is made again.
 */
export interface Stamp {
  /** What the directory was made from: wheel hashes, or the engine's key. */
  from: string[];
  /** Path within the directory -> bytes. */
  files: Record<string, number>;
  made: string;
}

const STAMP = "stamp.json";

/** Writes the stamp of a finished directory. `files` are paths within it. */
export function writeStamp(directory: string, from: string[], files: string[]): void {
  const sizes = Object.fromEntries(files.map((file) => [file, statSync(join(directory, file)).size]));
  const stamp: Stamp = { from, files: sizes, made: new Date().toISOString() };
  writeFileSync(join(directory, STAMP), `${JSON.stringify(stamp, null, 2)}\n`);
}

/** True if the directory is whole and was made from exactly this. */
export function isStamped(directory: string, from: string[]): boolean {
  try {
    const stamp = JSON.parse(readFileSync(join(directory, STAMP), "utf8")) as Partial<Stamp>;
    if (JSON.stringify(stamp.from) !== JSON.stringify(from)) return false;
    const files = Object.entries(stamp.files ?? {});
    return files.length > 0 && files.every(([file, size]) => statSync(join(directory, file)).size === size);
  } catch {
    return false;
  }
}
