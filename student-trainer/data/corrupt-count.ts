import { UserError } from "@funmatch/config";
import type { Replaced } from "./corrupt.ts";
import type { Source } from "./source.ts";

/** The numbers of the corrupt images of each split that has any, in rising order. */
export type CorruptImages = Record<string, number[]>;

/** Counts each corrupt image once, however often it is met. */
export interface CorruptCount {
  /** @throws UserError with examples once there are too many in a split. */
  add(split: string, replaced: Replaced[]): void;
  found(): CorruptImages;
}

export interface CorruptCountOptions {
  sources: Record<string, Source>;
  /** Share of a split's images that may be corrupt. */
  most: number;
  /** Found in earlier sittings of the run. */
  known?: CorruptImages;
  /** Told once of each image that is not `known`. */
  onFound?: (message: string) => void;
}

const EXAMPLES = 5;

/** Starts the count of a run's corrupt images. */
export function countCorrupt({ sources, most, known = {}, onFound }: CorruptCountOptions): CorruptCount {
  const seen = new Map(Object.entries(known).map(([split, indices]) => [split, new Set(indices)]));

  function check(split: string, latest: Replaced[]): void {
    const indices = seen.get(split)!;
    const source = sources[split]!;
    if (indices.size <= most * source.size) return;
    const messages = new Map(latest.map(({ index, message }) => [index, message]));
    const earlier = [...indices].filter((index) => !messages.has(index));
    const examples = [...messages.values(), ...earlier.map(source.nameOf)].slice(0, EXAMPLES);
    throw new UserError(
      `${indices.size} of the ${source.size} images of ${split} are corrupt, more than data.maxCorrupt ` +
        `(${100 * most} %) allows: ${examples.join("; ")}`,
    );
  }

  return {
    add(split, replaced) {
      const indices = seen.get(split) ?? new Set();
      seen.set(split, indices);
      for (const { index, message } of replaced) {
        if (indices.has(index)) continue;
        indices.add(index);
        onFound?.(`${message}; ${split === "train" ? "another image stands in for it" : "it is left out"}`);
      }
      check(split, replaced);
    },
    found: () =>
      Object.fromEntries([...seen].map(([split, indices]) => [split, [...indices].sort((a, b) => a - b)])),
  };
}
