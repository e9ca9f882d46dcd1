import { createHash } from "node:crypto";
import { UserError } from "@funmatch/config";
import { collectClasses } from "./classes.ts";
import { column, type Names, nameAt, nameColumn } from "./columns.ts";
import { labelled } from "./labelled.ts";
import { decodeNamed, EXTENSIONS } from "./picture-file.ts";
import { type ShardFile, withShard } from "./shard-file.ts";
import { shardPaths } from "./shard-paths.ts";
import type { Source } from "./source.ts";
import { type Member, membersOf } from "./tar.ts";

const LARGEST_LABEL = 2 ** 20;
const LARGEST_IMAGE = 2 ** 28;

/** WebDataset shards: uncompressed tars in which files of the same name but for the extension make a sample. */
export interface ShardsSpec {
  /** Paths with braces and globs, such as "data-{000..009}.tar". */
  shards: string;
  /** Path of a text file with a class name on each line. */
  classes?: string;
}

/** Where the image of each sample lies, in flat arrays: some 20 bytes a sample and its key. */
export interface ShardsIndex {
  kind: "shards";
  name: string;
  paths: string[];
  labels: string[];
  keys: Names;
  /** The position of sample i's shard among the paths. */
  shards: Uint32Array;
  offsets: Float64Array;
  sizes: Uint32Array;
  classes: Int32Array;
  digest: string;
}

/**
 * Indexes shards by their headers and labels, without reading an image. A sample has one image (.jpg, .jpeg, .png,
 * .webp) and a label: .cls, else the `label` of .json, a class's number from 0 or its name. Other members are passed
 * over. The digest covers (key, label, image size) of every sample, in order, and the class names.
 *
 * @throws UserError naming the shard or sample that is not as it should be.
 */
export async function indexShards({ shards: pattern, classes: file }: ShardsSpec): Promise<ShardsIndex> {
  const paths = shardPaths(pattern);
  const keys = nameColumn();
  const [shards, offsets, sizes] = [column(Uint32Array), column(Float64Array), column(Uint32Array)];
  const collected = collectClasses(pattern);
  const hash = createHash("sha256");
  for (const [shard, path] of paths.entries()) {
    withShard(path, (tar) => {
      for (const { key, image, label } of samplesOf(tar)) {
        hash.update(`${JSON.stringify([key, label, image.size])}\n`);
        keys.push(key);
        shards.push(shard);
        offsets.push(image.offset);
        sizes.push(image.size);
        collected.push(label);
      }
    });
  }
  if (shards.length === 0) throw new UserError(`${pattern} holds no images`);
  const { labels, classes } = collected.finish({ file, are: "labels" });
  return {
    ...{ kind: "shards", name: pattern, paths, labels, classes, keys: keys.shared() },
    ...{ shards: shards.shared(), offsets: offsets.shared(), sizes: sizes.shared() },
    digest: `sha256:${hash.update(JSON.stringify(labels)).digest("hex")}`,
  };
}

interface Sample {
  key: string;
  image: Member;
  label: string;
}

/** Members that follow each other with the same key make a sample. */
function* samplesOf(tar: ShardFile): Generator<Sample> {
  let key: string | undefined;
  let parts = new Map<string, Member>();
  for (const member of membersOf(tar)) {
    const split = /^((?:.*\/)?[^/.][^/.]*)\.([^/]+)$/.exec(member.name);
    if (!split) continue; // hidden, or without an extension
    const [, memberKey, extension] = split as unknown as [string, string, string];
    if (key !== undefined && memberKey !== key) {
      yield sampleOf(tar, key, parts);
      parts = new Map();
    }
    key = memberKey;
    const part = extension.toLowerCase();
    if (parts.has(part)) throw new UserError(`${tar.path}: sample ${key} has two .${part}`);
    if (EXTENSIONS.includes(`.${part}`) || part === "cls" || part === "json") parts.set(part, member);
  }
  if (key !== undefined) yield sampleOf(tar, key, parts);
}

function sampleOf(tar: ShardFile, key: string, parts: Map<string, Member>): Sample {
  const fail = (what: string): never => {
    throw new UserError(`${tar.path}: sample ${key} ${what}`);
  };
  const images = EXTENSIONS.flatMap((extension) => parts.get(extension.slice(1)) ?? []);
  const [image] = images;
  if (!image) return fail(`has no image (${EXTENSIONS.join(", ")})`);
  if (images.length > 1) fail("has more than one image");
  if (image.size > LARGEST_IMAGE) fail(`has an image of ${image.size} bytes, more than ${LARGEST_IMAGE}`);
  const cls = parts.get("cls");
  const file = cls ?? parts.get("json");
  if (!file) return fail("has no label (.cls or .json)");
  if (file.size > LARGEST_LABEL) fail(`has a label file of ${file.size} bytes, more than ${LARGEST_LABEL}`);
  const written = Buffer.from(tar.read(file.offset, file.size)).toString("utf8").trim();
  const label = file === cls ? written : labelInJson(written);
  if (!label || label.includes("\n")) return fail(`has no class in its ${file === cls ? ".cls" : ".json"}`);
  return { key, image, label };
}

function labelInJson(written: string): string | undefined {
  try {
    const { label } = JSON.parse(written) as { label?: unknown };
    return typeof label === "string" || Number.isSafeInteger(label) ? String(label) : undefined;
  } catch {
    return undefined;
  }
}

/** The images of indexed shards, each read alone where it lies. */
export function shardsSource(index: ShardsIndex): Source {
  const { name, paths, labels, keys, shards, offsets, sizes, classes, digest } = index;
  const nameOf = (i: number) => `${nameAt(keys, i)} in ${paths[shards[i]!]!}`;
  const encoded = (i: number) => withShard(paths[shards[i]!]!, (tar) => tar.read(offsets[i]!, sizes[i]!));
  const read = (i: number) => decodeNamed(nameOf(i), () => encoded(i));
  return labelled({ name, labels, classes, digest, nameOf, read, encoded });
}
