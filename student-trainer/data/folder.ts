import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { column, type Names, nameAt, nameColumn } from "./columns.ts";
import { EXTENSIONS, filesSource, isPictureName } from "./picture-file.ts";
import type { Source } from "./source.ts";

/** A folder that holds one folder of images for each class. */
export interface FolderSpec {
  folder: string;
}

/** The files of an image folder in a few flat arrays, which all threads share. */
export interface FolderIndex {
  kind: "folder";
  root: string;
  labels: string[];
  /** File names, without the folder of their class. */
  names: Names;
  /** The class of file i. */
  classes: Int32Array;
  digest: string;
}

/**
 * Lists a folder of class folders. Classes and the files in them are ordered by name (by code unit, not by the
 * machine's language), so that labels and image numbers are the same everywhere. Hidden files and other kinds of
 * files are passed over. The digest covers (path, label, file size) of every image, not the images' contents.
 *
 * @throws UserError if the folder is missing, has no class folders, or a class has no images.
 */
export async function indexFolder({ folder }: FolderSpec): Promise<FolderIndex> {
  const labels = await classFolders(folder);
  const names = nameColumn();
  const classes = column(Int32Array);
  const hash = createHash("sha256");
  for (const [label, name] of labels.entries()) {
    const files = (await readdir(join(folder, name))).filter(isPictureName).sort();
    let found = 0;
    for (const file of files) {
      const stat = statSync(join(folder, name, file), { throwIfNoEntry: false });
      if (!stat?.isFile()) continue;
      hash.update(`${JSON.stringify([`${name}/${file}`, label, stat.size])}\n`);
      names.push(file);
      classes.push(label);
      found++;
    }
    if (found === 0) {
      throw new UserError(`${join(folder, name)} holds no images (${EXTENSIONS.join(", ")})`);
    }
  }
  return {
    kind: "folder",
    root: folder,
    labels,
    names: names.shared(),
    classes: classes.shared(),
    digest: `sha256:${hash.digest("hex")}`,
  };
}

async function classFolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") throw new UserError(`The image folder ${folder} does not exist`);
    if (error.code === "ENOTDIR") throw new UserError(`${folder} is a file; an image folder is needed`);
    throw new UserError(`The image folder ${folder} cannot be read (${error.code})`);
  });
  const classes = entries.filter((name) => !name.startsWith(".") && isFolder(join(folder, name))).sort();
  if (classes.length === 0) {
    throw new UserError(`${folder} holds no class folders: it needs one folder of images for each class`);
  }
  return classes;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** The images of an indexed folder. */
export function folderSource({ root, labels, names, classes, digest }: FolderIndex): Source {
  const pathOf = (i: number) => join(root, labels[classes[i]!]!, nameAt(names, i));
  return filesSource({ name: root, labels, classes, digest, pathOf });
}
