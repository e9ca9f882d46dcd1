import type { Image } from "@funmatch/views";
import { type FashionIndex, type FashionSpec, fashionSource, indexFashion } from "./fashion.ts";
import { type FolderIndex, type FolderSpec, folderSource, indexFolder } from "./folder.ts";
import { indexList, type ListSpec } from "./list.ts";
import { type ListIndex, listSource } from "./listed-files.ts";
import { indexParquet, type ParquetIndex, type ParquetSpec, parquetSource } from "./parquet.ts";
import { indexPublished, type PublishedSpec } from "./published.ts";
import { noneSeen, remembering } from "./seen.ts";
import { readSeveralLabels, type SeveralLabels, severalLabelsAt } from "./several-labels.ts";
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
  /** All labels that are right for an image, maybe none, where a file gives them. */
  answers?(i: number): Int32Array;
  /** For messages: which image this is. */
  nameOf(i: number): string;
  /** @throws CorruptImage if the bytes are no picture, another UserError if it cannot be read; both name the image. */
  read(i: number): Promise<Image>;
  /**
   * The bytes of an image's file, if it has one and a thread has read the image before, so that it is known to be
   * readable; they hold until the next call. Throws as {@link read} does.
   */
  encoded?(i: number): Uint8Array | undefined;
  /** Says of an image's file that no part of it can be decoded alone: it is given no more. */
  onlyWhole?(i: number): void;
}

/**
 * Where images come from, as written in a run's configuration; with `split` a part of them, such as "[:90%]", with
 * `labels` the path of a file of several labels for each.
 */
/** Whether labels of two sources mean the same. */
export function sameClasses(a: Source, b: Source): boolean {
  return a.labels.join("\n") === b.labels.join("\n");
}

export type SourceSpec = (FolderSpec | ListSpec | PublishedSpec | ShardsSpec | ParquetSpec | FashionSpec) & {
  split?: string;
  labels?: string;
};

/** What a thread needs to read a source: made once, handed to every thread, its bulk in shared memory. */
export type SourceIndex = WholeIndex & {
  several?: SeveralLabels;
  slice?: Slice;
  /** What `remembering` keeps of each image of the whole, in shared memory. */
  seen: Uint8Array;
};

type WholeIndex = FolderIndex | ListIndex | ShardsIndex | ParquetIndex | FashionIndex;

/**
 * Indexes several sources. Parts of the same data share one index.
 *
 * @throws UserError if the data is missing or not as it should be.
 */
export async function indexSources(specs: Record<string, SourceSpec>): Promise<Record<string, SourceIndex>> {
  const wholes = new Map<string, WholeIndex & { seen: Uint8Array }>();
  const indices: Record<string, SourceIndex> = {};
  for (const [name, spec] of Object.entries(specs)) {
    const { split, labels, ...data } = spec;
    const key = JSON.stringify(data);
    const whole = wholes.get(key) ?? withNoneSeen(await indexWhole(data));
    wholes.set(key, whole);
    const several = labels === undefined ? undefined : readSeveralLabels(labels, sourceOf(whole));
    const slice = split === undefined ? undefined : sliceOf(split, sourceOf(whole));
    indices[name] = { ...whole, several, slice };
  }
  return indices;
}

function withNoneSeen(index: WholeIndex): WholeIndex & { seen: Uint8Array } {
  return { ...index, seen: noneSeen(wholeOf(index).size) };
}

function indexWhole(spec: SourceSpec): Promise<WholeIndex> {
  if ("shards" in spec) return indexShards(spec);
  if ("parquet" in spec) return indexParquet(spec);
  if ("published" in spec) return indexPublished(spec);
  if ("list" in spec) return indexList(spec);
  return "folder" in spec ? indexFolder(spec) : indexFashion(spec);
}

export function sourceOf(index: SourceIndex): Source {
  const { several } = index;
  const plain = remembering(wholeOf(index), index.seen);
  const whole = several ? { ...plain, answers: (i: number) => severalLabelsAt(several, i) } : plain;
  return index.slice === undefined ? whole : sliced(whole, index.slice);
}

function wholeOf(index: WholeIndex): Source {
  switch (index.kind) {
    case "folder":
      return folderSource(index);
    case "list":
      return listSource(index);
    case "shards":
      return shardsSource(index);
    case "parquet":
      return parquetSource(index);
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
  const { opened } = await indexSources({ opened: spec });
  return sourceOf(opened!);
}
