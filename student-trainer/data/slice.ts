import { createHash } from "node:crypto";
import { draws, permutation } from "@funmatch/views";
import { boundsOfSlice } from "./slice-bounds.ts";
import type { Source } from "./source.ts";

/** The images of a slice, in shared memory, and the digest of the part that they are. */
export interface Slice {
  text: string;
  images: Uint32Array;
  digest: string;
}

/**
 * Chooses the images of a part, which keep the order that they have in the whole. The bounds count in a shuffled
 * order, the same for every run and seed: the images of a folder are ordered by class, and each part needs all.
 *
 * @throws UserError as {@link boundsOfSlice}.
 */
export function sliceOf(text: string, whole: Pick<Source, "name" | "size" | "digest">): Slice {
  const [from, to] = boundsOfSlice(text, whole.size, `split of ${whole.name}`);
  const chosen = permutation(draws(0, "slice"), whole.size).subarray(from, to).sort();
  const images = new Uint32Array(new SharedArrayBuffer(chosen.byteLength));
  images.set(chosen);
  const hash = createHash("sha256").update(whole.digest).update(images);
  return { text, images, digest: `sha256:${hash.digest("hex")}` };
}

/** A part of a source. */
export function sliced(whole: Source, { text, images, digest }: Slice): Source {
  const { answers, encoded, onlyWhole } = whole;
  return {
    name: `${whole.name}${text}`,
    labels: whole.labels,
    size: images.length,
    digest,
    label: (i) => whole.label(images[i]!),
    answers: answers && ((i) => answers(images[i]!)),
    nameOf: (i) => whole.nameOf(images[i]!),
    read: (i) => whole.read(images[i]!),
    encoded: encoded && ((i) => encoded(images[i]!)),
    onlyWhole: onlyWhole && ((i) => onlyWhole(images[i]!)),
  };
}
