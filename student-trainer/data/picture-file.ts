import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { extname } from "node:path";
import { UserError } from "@funmatch/config";
import { DecodeError, decode, type Image } from "@funmatch/views";
import { CorruptImage } from "./corrupt.ts";
import { labelled } from "./labelled.ts";
import type { Source } from "./source.ts";

/** What a picture's name may end in, in any case of letters. */
export const EXTENSIONS = [".jpg", ".jpeg", ".png", ".webp"];

/** Whether a file is a picture by its name; hidden files are none. */
export function isPictureName(name: string): boolean {
  return !name.startsWith(".") && EXTENSIONS.includes(extname(name).toLowerCase());
}

/**
 * Decodes the bytes of a picture that messages call `name`.
 *
 * @throws CorruptImage if they are no picture, another UserError if they cannot be read.
 */
export async function decodeNamed(name: string, bytes: () => Uint8Array): Promise<Image> {
  try {
    return await decode(bytes());
  } catch (error) {
    const Mistake = error instanceof DecodeError ? CorruptImage : UserError;
    throw new Mistake(`${name} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

/** Where files are read that are not kept; grows with the largest. */
let kept = Buffer.alloc(1 << 16);

/** The bytes of a file, which the next call overwrites: so that reading leaves nothing to collect. */
function readAgain(path: string): Uint8Array {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    if (size > kept.length) kept = Buffer.alloc(2 * size);
    let end = 0;
    for (let read = 1; end < size && read > 0; end += read) read = readSync(file, kept, end, size - end, end);
    return kept.subarray(0, end);
  } finally {
    closeSync(file);
  }
}

/** Labelled pictures that are files of their own. */
export function filesSource(o: {
  name: string;
  labels: string[];
  /** The class of picture i. */
  classes: Int32Array;
  digest: string;
  pathOf(i: number): string;
}): Source {
  const { pathOf, ...known } = o;
  // Synchronous: an asynchronous read costs this thread ten times as much, an eighth of a small photograph's time.
  return labelled({
    ...known,
    nameOf: pathOf,
    read: (i) => decodeNamed(pathOf(i), () => readFileSync(pathOf(i))),
    encoded: (i) => readAgain(pathOf(i)),
  });
}
