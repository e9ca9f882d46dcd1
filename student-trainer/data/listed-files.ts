import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { collectClasses } from "./classes.ts";
import { type Names, nameAt, nameColumn } from "./columns.ts";
import { filesSource } from "./picture-file.ts";
import type { Source } from "./source.ts";

/** A picture and its label, as something says that lists them. */
export interface Listed {
  /** Below the folder. */
  path: string;
  label: string;
  /** For messages: where it is listed. */
  where: string;
}

/** Listed files in a few flat arrays, which all threads share. */
export interface ListIndex {
  kind: "list";
  root: string;
  name: string;
  labels: string[];
  /** Paths below the root. */
  names: Names;
  classes: Int32Array;
  digest: string;
}

/**
 * Indexes pictures in the order in which they are listed. The digest covers (path, label, file size) of every one and
 * the class names.
 *
 * @param o.name for messages: which data this is
 * @param o.finish how labels are named, as {@link collectClasses} has it; asked after the last one
 * @throws UserError naming the place where a picture is listed that does not exist
 */
export async function indexListed(
  listed: AsyncIterable<Listed> | Iterable<Listed>,
  o: {
    folder: string;
    name: string;
    finish: () => Parameters<ReturnType<typeof collectClasses>["finish"]>[0];
  },
): Promise<ListIndex> {
  const { folder, name } = o;
  const names = nameColumn();
  const collected = collectClasses(name);
  const hash = createHash("sha256");
  let size = 0;
  for await (const { path, label, where } of listed) {
    const stat = statSync(join(folder, path), { throwIfNoEntry: false });
    if (!stat?.isFile()) throw new UserError(`${where}: there is no image ${join(folder, path)}`);
    hash.update(`${JSON.stringify([path, label, stat.size])}\n`);
    names.push(path);
    collected.push(label);
    size++;
  }
  if (size === 0) throw new UserError(`${name} lists no images`);
  const { labels, classes } = collected.finish(o.finish());
  const digest = `sha256:${hash.update(JSON.stringify(labels)).digest("hex")}`;
  return { kind: "list", root: folder, name, labels, names: names.shared(), classes, digest };
}

/** The pictures of an indexed list. */
export function listSource({ root, name, labels, names, classes, digest }: ListIndex): Source {
  return filesSource({ name, labels, classes, digest, pathOf: (i) => join(root, nameAt(names, i)) });
}
