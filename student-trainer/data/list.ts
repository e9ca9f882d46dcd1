import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { createInterface } from "node:readline";
import { UserError } from "@funmatch/config";
import { collectClasses } from "./classes.ts";
import { type Names, nameAt, nameColumn } from "./columns.ts";
import { filesSource, isPictureName } from "./picture-file.ts";
import type { Source } from "./source.ts";

/** The images of a folder that a list file names. */
export interface ListSpec {
  folder: string;
  /** Path of a text file with a line for each image: `path label`, or `path` with the class folder in it. */
  list: string;
  /** Path of a text file with a class name on each line. */
  classes?: string;
}

export interface ListIndex {
  kind: "list";
  root: string;
  list: string;
  labels: string[];
  /** Paths below the root. */
  names: Names;
  classes: Int32Array;
  digest: string;
}

/**
 * Reads a split's list, in its order. A line is an image's path below the folder, then white space and its label (a
 * class's number from 0, or its name without spaces). Where no line has a label, the folder that an image is in is its
 * class: a/abbey/x.jpg and b/barn/y.jpg are of a/abbey and b/barn, photos/cat/x.jpg and photos/dog/y.jpg of cat and
 * dog. A path without an extension is a .jpg (Food-101's lists). Empty lines and lines that begin with # are passed
 * over. The digest covers (path, label, file size)
 * of every image and the class names.
 *
 * @throws UserError naming the line that is wrong, or whose image is missing.
 */
export async function indexList({ folder, list, classes: file }: ListSpec): Promise<ListIndex> {
  const names = nameColumn();
  const collected = collectClasses(list);
  const hash = createHash("sha256");
  let labelled: boolean | undefined;
  for await (const { number, path, label } of linesOf(list)) {
    const where = `${list}, line ${number}`;
    labelled ??= label !== undefined;
    if ((label !== undefined) !== labelled)
      throw new UserError(`${where}: either every line has a label, or none has`);
    const given = label ?? dirname(path);
    if (given === "." || given === "/")
      throw new UserError(`${where}: ${path} has no label and lies in no class folder`);
    const stat = statSync(join(folder, path), { throwIfNoEntry: false });
    if (!stat?.isFile()) throw new UserError(`${where}: there is no image ${join(folder, path)}`);
    hash.update(`${JSON.stringify([path, given, stat.size])}\n`);
    names.push(path);
    collected.push(given);
  }
  if (labelled === undefined) throw new UserError(`${list} lists no images`);
  const { labels, classes } = collected.finish({ file, are: labelled ? "labels" : "folders" });
  const digest = `sha256:${hash.update(JSON.stringify(labels)).digest("hex")}`;
  return { kind: "list", root: folder, list, labels, names: names.shared(), classes, digest };
}

async function* linesOf(list: string): AsyncGenerator<{ number: number; path: string; label?: string }> {
  let number = 0;
  try {
    for await (const line of createInterface({ input: createReadStream(list), crlfDelay: Infinity })) {
      number++;
      const text = line.trim();
      if (text === "" || text.startsWith("#")) continue;
      const labelled = isPictureName(basename(text)) ? null : /^(.*\S)\s+(\S+)$/.exec(text);
      const path = labelled?.[1] ?? text;
      yield { number, path: extname(path) === "" ? `${path}.jpg` : path, label: labelled?.[2] };
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`the list ${list} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** The images of an indexed list. */
export function listSource({ root, list, labels, names, classes, digest }: ListIndex): Source {
  return filesSource({ name: list, labels, classes, digest, pathOf: (i) => join(root, nameAt(names, i)) });
}
