import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, relative, resolve, sep } from "node:path";
import { UserError } from "@funmatch/config";
import type { TrainConfig } from "../config.ts";

/** `from "./x.ts"`, `import "./x.ts"`, `import("./x.ts")`: files beside the module, as opposed to packages. */
const RELATIVE = /\b(?:from|import)\s*\(?\s*(["'])(\.{1,2}\/[^"'\n]+)\1/g;

/**
 * SHA-256 in hex of a module and of all files that it imports by a relative path, each of those with its name as
 * seen from the module; packages are not looked into.
 *
 * @throws UserError when the module is not there
 */
export async function codeSha256(file: string): Promise<string> {
  const sources = new Map<string, Buffer>();
  const waiting = [file];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (sources.has(path)) continue;
    const source = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (path === file) throw new UserError(`student.file: ${file} cannot be read (${error.code})`);
    });
    // What only a comment speaks of need not be there; what is imported in earnest fails when the module is loaded.
    if (source === undefined) continue;
    sources.set(path, source);
    for (const [, , imported] of source.toString().matchAll(RELATIVE))
      waiting.push(resolve(dirname(path), imported!));
  }
  const named = [...sources].map(([path, source]) => {
    const name = relative(dirname(file), path).split(sep).join("/");
    return { name: path === file ? "" : name, source };
  });
  const hash = createHash("sha256");
  for (const { name, source } of named.sort((a, b) => (a.name < b.name ? -1 : 1)))
    hash.update(`${JSON.stringify([name, source.length])}\n`).update(source);
  return hash.digest("hex");
}

/**
 * Writes the digest of a user's own network into the config, which binds the run to it.
 *
 * @param began the digest that the run began with, if it has begun
 * @throws UserError when the code is no longer that of `began` or of the config
 */
export async function settleCode({ student, run }: TrainConfig, began?: string): Promise<void> {
  if (student.model !== "module") return;
  const now = await codeSha256(student.file);
  const wanted = student.sha256 ?? began;
  if (wanted !== undefined && wanted !== now)
    throw new UserError(
      `${student.file}, or a file that it imports, is not the code that ${run} began with: ` +
        "put it back to go on, or choose another run",
    );
  student.sha256 = now;
}
