import { createHash } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { collectClasses } from "./classes.ts";
import { column } from "./columns.ts";
import { CorruptImage } from "./corrupt.ts";
import { labelled } from "./labelled.ts";
import { CODECS } from "./parquet/decompress.ts";
import { readFooter } from "./parquet/footer.ts";
import { imageReader } from "./parquet/image-pages.ts";
import { readLabels } from "./parquet/labels.ts";
import { pagesOf } from "./parquet/pages.ts";
import { pictureColumns } from "./parquet/schema.ts";
import { decodeNamed } from "./picture-file.ts";
import { type ShardFile, withShard } from "./shard-file.ts";
import { shardPaths } from "./shard-paths.ts";
import type { Source } from "./source.ts";

/** Parquet files with a column of pictures and one of labels, as the `datasets` library of Hugging Face writes them. */
export interface ParquetSpec {
  /** Paths with braces and globs, such as "data/train-*.parquet", or a folder of .parquet files. */
  parquet: string;
  /** The column of pictures: bytes, or a struct with `bytes`. Absent: "image", else the only one. */
  image?: string;
  /** The column of labels. Absent: "label", else the only one. */
  label?: string;
  /** Path of a text file with a class name on each line; absent: the names that the files give. */
  classes?: string;
}

/** Where the pages of pictures lie, in flat arrays: some 26 bytes a page, and 4 an image for its class. */
export interface ParquetIndex {
  kind: "parquet";
  name: string;
  paths: string[];
  labels: string[];
  classes: Int32Array;
  /** Of page p: the position of its file among the paths. */
  shards: Uint32Array;
  /** The first of its images. */
  firsts: Uint32Array;
  headers: Float64Array;
  /** Where the header of its chunk's dictionary lies; 0 if there is none. */
  dictionaries: Float64Array;
  codecs: Uint8Array;
  levels: Uint8Array;
  digest: string;
}

/** Image numbers are 32-bit. */
const MOST_ROWS = 2 ** 32 - 1;

/**
 * Indexes Parquet files by their metadata, the headers of their pages of pictures, and their labels, without reading
 * a picture. The digest covers the metadata and headers (with the sizes, and, where written, checksums of the pages),
 * the labels and the class names.
 *
 * @throws UserError naming the file that is not as it should be
 */
export async function indexParquet(spec: ParquetSpec): Promise<ParquetIndex> {
  const { parquet: pattern, classes: file } = spec;
  const paths = parquetPaths(pattern);
  const [shards, firsts, codecs] = [column(Uint32Array), column(Uint32Array), column(Uint8Array)];
  const [headers, dictionaries, levels] = [column(Float64Array), column(Float64Array), column(Uint8Array)];
  const collected = collectClasses(pattern);
  const hash = createHash("sha256");
  let rows = 0;
  let names: string[] | undefined;

  const index = (file: ShardFile, shard: number) => {
    const { metadata, bytes } = readFooter(file);
    const { image, label, names: here } = pictureColumns(metadata, spec, file.path);
    if (shard > 0 && JSON.stringify(here) !== JSON.stringify(names))
      throw new UserError(`${file.path} gives its classes other names than ${paths[0]}`);
    names = here;
    hash.update(bytes);
    for (const group of metadata.row_groups) {
      // A row takes at least a byte of a file, or it is made up.
      if (!(group.num_rows >= 0 && rows + Number(group.num_rows) <= MOST_ROWS && group.num_rows <= file.size))
        throw new UserError(`${file.path} claims a row group of ${group.num_rows} rows`);
      const { codec, dictionary, data } = pagesOf(file, group, image);
      for (const page of data) {
        hash.update(page.written);
        shards.push(shard);
        firsts.push(rows);
        headers.push(page.headerOffset);
        dictionaries.push(dictionary?.headerOffset ?? 0);
        codecs.push(CODECS.indexOf(codec));
        levels.push(image.maxLevel);
        rows += page.rows;
      }
      readLabels(file, group, label, (text) => {
        if (/^-\d+$/.test(text))
          throw new UserError(
            `${file.path} has images without a label (${text}); such a split cannot be used`,
          );
        collected.push(text);
      });
    }
  };
  for (const [shard, path] of paths.entries()) withShard(path, (opened) => index(opened, shard));
  if (rows === 0) throw new UserError(`${pattern} holds no images`);
  const { labels, classes } = collected.finish({ file, names, are: "labels" });
  return {
    ...{ kind: "parquet", name: pattern, paths, labels, classes },
    ...{ shards: shards.shared(), firsts: firsts.shared(), headers: headers.shared() },
    ...{ dictionaries: dictionaries.shared(), codecs: codecs.shared(), levels: levels.shared() },
    digest: `sha256:${hash.update(JSON.stringify(labels)).update(classes).digest("hex")}`,
  };
}

function parquetPaths(pattern: string): string[] {
  if (!statSync(pattern, { throwIfNoEntry: false })?.isDirectory()) return shardPaths(pattern);
  const files = readdirSync(pattern).filter((name) => name.endsWith(".parquet") && !name.startsWith("."));
  if (files.length === 0) throw new UserError(`${pattern} holds no .parquet files`);
  return files.sort().map((name) => join(pattern, name));
}

/** The pictures of indexed Parquet files. */
export function parquetSource(index: ParquetIndex): Source {
  const { name, paths, labels, classes, shards, firsts, headers, dictionaries, codecs, levels, digest } =
    index;

  const readImage = imageReader();

  /** The last page that begins at or before an image: it holds it, since pages without rows lie before others. */
  function pageOf(i: number): number {
    let [low, high] = [0, firsts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (firsts[middle]! <= i) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The first image of each file. */
  const begins = new Uint32Array(paths.length);
  for (let p = shards.length - 1; p >= 0; p--) begins[shards[p]!] = firsts[p]!;

  const nameOf = (i: number) => {
    const shard = shards[pageOf(i)]!;
    return `row ${i - begins[shard]!} of ${paths[shard]!}`;
  };

  function bytesOf(i: number): Uint8Array {
    const p = pageOf(i);
    const page = {
      headerOffset: headers[p]!,
      dictionaryOffset: dictionaries[p]!,
      codec: CODECS[codecs[p]!]!,
      maxLevel: levels[p]!,
    };
    try {
      const bytes = withShard(paths[shards[p]!]!, (file) => readImage(file, page, i - firsts[p]!));
      if (bytes === undefined) throw new CorruptImage(`${nameOf(i)} has no picture in it (null)`);
      return bytes;
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw new CorruptImage(`${nameOf(i)} cannot be read: its page is ${(error as Error).message}`);
    }
  }

  async function read(i: number) {
    const bytes = bytesOf(i);
    return decodeNamed(nameOf(i), () => bytes);
  }
  return labelled({ name, labels, classes, digest, nameOf, read, encoded: bytesOf });
}
