import type { Image } from "@funmatch/views";
import { type FashionIndex, type FashionSpec, fashionSource, indexFashion } from "./fashion.ts";
import { type FolderIndex, type FolderSpec, folderSource, indexFolder } from "./folder.ts";
import { indexList, type ListIndex, type ListSpec, listSource } from "./list.ts";
import { indexShards, type ShardsIndex, type ShardsSpec, shardsSource } from "./shards.ts";
import { type Slice, sliced, sliceOf } from "./slice.ts";

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

/** Where images come from, as written in a run's configuration; with `split` a part of them, such as "[:90%]". */
export type SourceSpec = (FolderSpec | ListSpec | ShardsSpec | FashionSpec) & { split?: string };

/** What a thread needs to read a source: made once, handed to every thread, its bulk in shared memory. */
export type SourceIndex = (FolderIndex | ListIndex | ShardsIndex | FashionIndex) & { slice?: Slice };

/** @throws UserError if the data is missing or not as it should be. */
export async function indexSource(spec: SourceSpec): Promise<SourceIndex> {
  const whole = await indexWhole(spec);
  return spec.split === undefined ? whole : { ...whole, slice: sliceOf(spec.split, sourceOf(whole)) };
}

function indexWhole(spec: SourceSpec): Promise<SourceIndex> {
  if ("shards" in spec) return indexShards(spec);
  if ("list" in spec) return indexList(spec);
  return "folder" in spec ? indexFolder(spec) : indexFashion(spec);
}

export function sourceOf(index: SourceIndex): Source {
  const whole = wholeOf(index);
  return index.slice === undefined ? whole : sliced(whole, index.slice);
}

function wholeOf(index: SourceIndex): Source {
  switch (index.kind) {
    case "folder":
      return folderSource(index);
    case "list":
      return listSource(index);
    case "shards":
      return shardsSource(index);
    case "fashion":
      return fashionSource(index);
    default:
      return index satisfies never;
  }
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
