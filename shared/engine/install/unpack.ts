import { createWriteStream, mkdirSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { openPromise } from "yauzl";
import { EngineError } from "../engine-error.ts";

/**
 * Streams chosen entries of a zip file into a directory; `place` names where an entry goes, relative to it, or
 * undefined to leave it out. Never holds a file in memory, never writes outside `into`. Returns the paths written.
 */
export async function unpack(
  zip: string,
  into: string,
  place: (entry: string) => string | undefined,
  onBytes: (bytes: number) => void,
): Promise<string[]> {
  const archive = await openPromise(zip, { strictFileNames: true });
  const made = new Set<string>();
  const written: string[] = [];
  try {
    for await (const entry of archive.eachEntry()) {
      const relative = place(entry.fileName);
      if (relative === undefined || entry.fileName.endsWith("/")) continue;
      const target = insideOf(into, relative, entry.fileName);
      if (!made.has(dirname(target))) mkdirSync(dirname(target), { recursive: true });
      made.add(dirname(target));
      const source = await archive.openReadStreamPromise(entry);
      source.on("data", (chunk: Uint8Array) => onBytes(chunk.length));
      // "wx": an archive that names a file twice is not one of ours
      await pipeline(
        source,
        createWriteStream(target, { flags: "wx", mode: permissions(entry.externalFileAttributes) }),
      );
      written.push(relative);
    }
  } finally {
    archive.close();
  }
  return written;
}

/** A wheel keeps a file's Unix mode there: a program stays executable, nothing becomes writable for others. */
function permissions(attributes: number): number {
  return (attributes >>> 16) & 0o111 ? 0o755 : 0o644;
}

function insideOf(directory: string, relative: string, entry: string): string {
  const root = normalize(directory + sep);
  const target = normalize(join(root, relative));
  if (!target.startsWith(root))
    throw new EngineError(`the archive names a file outside its folder: ${entry}`);
  return target;
}
