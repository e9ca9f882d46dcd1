import { readFileSync } from "node:fs";
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
  const encoded = (i: number) => readFileSync(pathOf(i));
  return labelled({
    ...known,
    nameOf: pathOf,
    read: (i) => decodeNamed(pathOf(i), () => encoded(i)),
    encoded,
  });
}
