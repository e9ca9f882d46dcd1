import { readFileSync, statSync } from "node:fs";
import { UserError } from "@funmatch/config";
import { column } from "./columns.ts";
import type { Source } from "./source.ts";

/** The right labels of each image, one after the other in shared memory; those of image i end at `ends[i]`. */
export interface SeveralLabels {
  values: Int32Array;
  ends: Uint32Array;
}

const MOST_BYTES = 2 ** 28;
/** ImageNet's validation images by the name that their publisher gave them, numbered from 1. */
const IMAGENET = /ILSVRC2012_val_(\d{8})/;

/**
 * Reads a JSON file of the labels that are right for each image of a source: several, one or none. It is a list with
 * an entry for each image (ImageNet-ReaL's `real.json` as published: those of ImageNet's validation images go by the
 * number in their name, others by data order), or an object of such entries by path or file name. A label is a
 * class's number from 0 or its name. An image with an empty list is not counted in accuracies.
 *
 * @throws UserError naming the entry that is wrong, or the image without one
 */
export function readSeveralLabels(path: string, source: Source): SeveralLabels {
  const entryOf = entries(path, source);
  const positions = new Map(source.labels.map((name, i) => [name, i]));
  const values = column(Int32Array);
  const ends = column(Uint32Array);
  for (let i = 0; i < source.size; i++) {
    const { place, entry } = entryOf(i);
    if (!Array.isArray(entry)) throw new UserError(`${path}: ${place} is not a list of labels`);
    for (const label of new Set(entry)) values.push(classOf(label, positions, `${path}: ${place}`));
    ends.push(values.length);
  }
  if (values.length === 0) throw new UserError(`${path} gives no image of ${source.name} a label`);
  return { values: values.shared(), ends: ends.shared() };
}

/** The labels of the i-th image. */
export function severalLabelsAt({ values, ends }: SeveralLabels, i: number): Int32Array {
  return values.subarray(i === 0 ? 0 : ends[i - 1]!, ends[i]!);
}

function classOf(label: unknown, positions: Map<string, number>, where: string): number {
  const number = typeof label === "string" ? positions.get(label) : label;
  if (Number.isInteger(number) && (number as number) >= 0 && (number as number) < positions.size)
    return number as number;
  throw new UserError(
    `${where} has a label ${JSON.stringify(label)}: there are ${positions.size} classes, from 0`,
  );
}

type Entry = { place: string; entry: unknown };

/** Finds the entry of an image. */
function entries(path: string, source: Source): (i: number) => Entry {
  const content = parsed(path);
  if (Array.isArray(content)) return entriesInOrder(path, source, content);
  if (typeof content !== "object" || content === null)
    throw new UserError(`${path}: expected a list of lists of labels, or an object of them by file name`);
  const byName = new Map<string, unknown>(Object.entries(content));
  const takenBy = new Map<string, string>();
  return (i) => {
    const name = source.nameOf(i);
    const key = [name, ...tails(name)].find((one) => byName.has(one));
    if (key === undefined)
      throw new UserError(
        `${path} has no entry for ${name}: an image that is not to count has an empty list`,
      );
    const other = takenBy.get(key);
    if (other !== undefined)
      throw new UserError(`${path}: ${key} may be ${other} or ${name}: give more of the path`);
    takenBy.set(key, name);
    return { place: `the entry of ${key}`, entry: byName.get(key) };
  };
}

function entriesInOrder(path: string, source: Source, list: unknown[]): (i: number) => Entry {
  const numberOf = (i: number) => Number(IMAGENET.exec(source.nameOf(i))?.[1]);
  const numbered = source.size > 0 && !Number.isNaN(numberOf(0));
  if (!numbered && list.length !== source.size)
    throw new UserError(`${path} has ${list.length} entries, but ${source.name} ${source.size} images`);
  return (i) => {
    const place = numbered ? numberOf(i) - 1 : i;
    if (!(place in list))
      throw new UserError(`${path} has ${list.length} entries, none for ${source.nameOf(i)}`);
    return { place: `entry ${place}`, entry: list[place] };
  };
}

/** A path without its first folders, one by one: a/b/c.jpg gives b/c.jpg and c.jpg. */
function tails(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, i) => parts.slice(i + 1).join("/"));
}

function parsed(path: string): unknown {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isFile()) throw new UserError(`there is no file of labels ${path}`);
  if (stat.size > MOST_BYTES)
    throw new UserError(
      `${path} has ${stat.size} bytes, more than a file of labels can have (${MOST_BYTES})`,
    );
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new UserError(`${path} is not JSON: ${(error as Error).message}`);
  }
}
