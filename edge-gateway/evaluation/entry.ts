import { decodeAnswer, floats, type RequestHead, WireError } from "@funmatch/wire";

/** What an evaluation's answer depends on, and who may have it. */
export interface EntryName {
  team: string;
  /** Whether all teams that may ask the model share what was answered. */
  shared: boolean;
  model: string;
  version: string;
  head: Pick<RequestHead, "dtype" | "shape">;
  /** Of the image bytes, computed here: never what a client claims. */
  digest: string;
}

/** The key of an answer in the store. No part of it holds a slash, and no team is called `*`. */
export function entryKey({ team, shared, model, version, head, digest }: EntryName): string {
  return [shared ? "*" : team, model, version, head.dtype, head.shape.join("x"), digest].join("/");
}

/**
 * Holds an answer against what it is to be stored under, or was found under: it must be what it says it is.
 *
 * @param classes K, where it is known
 * @returns what is wrong with it, or undefined
 */
export function misfit(bytes: Uint8Array, wanted: EntryName, classes?: number): string | undefined {
  try {
    const { model, version, digest, logits } = decodeAnswer(bytes);
    if (model !== wanted.model) return `model ${model}`;
    if (version !== wanted.version) return `version ${version}`;
    if (digest !== wanted.digest) return `digest ${digest}`;
    const [images, width] = logits.shape;
    if (images !== wanted.head.shape[0]) return `${images} images`;
    if (classes !== undefined && width !== classes) return `${width} logits an image`;
    return undefined;
  } catch (error) {
    return error instanceof WireError ? error.detail : String(error);
  }
}

/** Whether all logits of a right answer are numbers; what a sick teacher computed is not kept for a month. */
export function allFinite(bytes: Uint8Array): boolean {
  return floats(decodeAnswer(bytes).logits.data).every(Number.isFinite);
}
