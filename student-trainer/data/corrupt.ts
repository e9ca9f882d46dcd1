import { UserError } from "@funmatch/config";
import { draws, type Image } from "@funmatch/views";
import type { Source } from "./source.ts";

/** An image whose bytes are no readable picture. The bytes alone decide it: a disk that fails is another error. */
export class CorruptImage extends UserError {
  override name = "CorruptImage";
}

/** A corrupt image that was met, and the image of the same source that stands in for it. */
export interface Replaced {
  index: number;
  by: number;
  /** Which image, and what is wrong with it. */
  message: string;
}

/** Far more than a source within any sensible share of corrupt images needs. */
const MOST_DRAWS = 1000;

/**
 * Reads image `index`, or, if it is corrupt, the first readable one that the stream (seed, "replacement", index)
 * draws. So the same image stands in for it in every epoch, on any number of threads and after a resumption.
 *
 * @returns the image and its number, which is `index` unless it was replaced
 * @throws UserError if the source cannot be read, or hardly any image of it is a picture.
 */
export async function readOrReplace(
  source: Source,
  seed: number,
  index: number,
): Promise<{ image: Image; index: number; replaced?: Replaced }> {
  const image = await readUnlessCorrupt(source, index);
  if (!(image instanceof CorruptImage)) return { image, index };
  const d = draws(seed, "replacement", index);
  for (let tries = 0; tries < MOST_DRAWS; tries++) {
    const by = d.below(source.size);
    const other = await readUnlessCorrupt(source, by);
    if (other instanceof CorruptImage) continue;
    return { image: other, index: by, replaced: { index, by, message: image.message } };
  }
  throw new UserError(`${image.message}; nor can other images of ${source.name} be decoded`);
}

async function readUnlessCorrupt(source: Source, index: number): Promise<Image | CorruptImage> {
  try {
    return await source.read(index);
  } catch (error) {
    if (error instanceof CorruptImage) return error;
    throw error;
  }
}
