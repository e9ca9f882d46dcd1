import { basename, dirname, extname } from "node:path";
import { UserError } from "@funmatch/config";
import { indexListed, type Listed, type ListIndex } from "./listed-files.ts";
import { isPictureName } from "./picture-file.ts";
import { linesOf } from "./text-lines.ts";

/** The images of a folder that a list file names. */
export interface ListSpec {
  folder: string;
  /** Path of a text file with a line for each image: `path label`, or `path` with the class folder in it. */
  list: string;
  /** Path of a text file with a class name on each line. */
  classes?: string;
}

/**
 * Reads a split's list, in its order. A line is an image's path below the folder, then white space and its label (a
 * class's number from 0, or its name without spaces). Where no line has a label, the folder that an image is in is its
 * class: a/abbey/x.jpg and b/barn/y.jpg are of a/abbey and b/barn, photos/cat/x.jpg and photos/dog/y.jpg of cat and
 * dog. A path without an extension is a .jpg. Empty lines and lines that begin with # are passed over.
 *
 * @throws UserError naming the line that is wrong, or whose image is missing.
 */
export async function indexList({ folder, list, classes: file }: ListSpec): Promise<ListIndex> {
  let labelled: boolean | undefined;
  async function* listed(): AsyncGenerator<Listed> {
    for await (const { text, where } of linesOf(list, "the list")) {
      const parts = isPictureName(basename(text)) ? null : /^(.*\S)\s+(\S+)$/.exec(text);
      const path = parts?.[1] ?? text;
      const label = parts?.[2] ?? dirname(path);
      labelled ??= parts !== null;
      if (labelled !== (parts !== null))
        throw new UserError(`${where}: either every line has a label, or none has`);
      if (label === "." || label === "/")
        throw new UserError(`${where}: ${withExtension(path)} has no label and lies in no class folder`);
      yield { path: withExtension(path), label, where };
    }
  }
  const finish = () => ({ file, are: labelled ? ("labels" as const) : ("folders" as const) });
  return indexListed(listed(), { folder, name: list, finish });
}

function withExtension(path: string): string {
  return extname(path) === "" ? `${path}.jpg` : path;
}
