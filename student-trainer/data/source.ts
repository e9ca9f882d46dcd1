import type { Image } from "@funmatch/views";
import { type FashionIndex, type FashionSpec, fashionSource, indexFashion } from "./fashion.ts";
import { type FolderIndex, type FolderSpec, folderSource, indexFolder } from "./folder.ts";

/** Labelled images in a fixed order, read one at a time. */
export interface Source {
  /** For messages: which data this is. */
  name: string;
  /** The name of each class; a label is a position in this list. */
  labels: string[];
  size: number;
  /** "sha256:<hex>": two sources with this digest hold the same images in the same order. */
  digest: string;
  label(i: number): number;
  /** For messages: which image this is. */
  nameOf(i: number): string;
  /** @throws CorruptImage if the bytes are no picture, another UserError if it cannot be read; both name the image. */
  read(i: number): Promise<Image>;
}

/** Where images come from, as written in a run's configuration. */
export type SourceSpec = FolderSpec | FashionSpec;

/** What a thread needs to read a source: made once, handed to every thread, its bulk in shared memory. */
export type SourceIndex = FolderIndex | FashionIndex;

/** @throws UserError if the data is missing or not as it should be. */
export async function indexSource(spec: SourceSpec): Promise<SourceIndex> {
  return "folder" in spec ? indexFolder(spec) : indexFashion(spec);
}

export function sourceOf(index: SourceIndex): Source {
  return index.kind === "folder" ? folderSource(index) : fashionSource(index);
}

/**
 * Opens the images that a configuration names.
 *
 * @example
 * const source = await openSource({ folder: "photos/train" });
 * const image = await source.read(0);
 * @throws UserError if the data is missing or not as it should be.
 */
export async function openSource(spec: SourceSpec): Promise<Source> {
  return sourceOf(await indexSource(spec));
}
