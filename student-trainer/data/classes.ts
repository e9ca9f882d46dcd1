import { readFileSync } from "node:fs";
import { UserError } from "@funmatch/config";
import { column } from "./columns.ts";

const MOST_CLASSES = 100_000;

/** Class names, and the class of each image as a position among them. */
export interface Classes {
  labels: string[];
  classes: Int32Array;
}

/** The labels of images, as they are met. */
export interface ClassCollection {
  push(label: string): void;
  /**
   * @param file a file of class names, one a line: it gives the order, and names to numbers
   * @param names the same, where the data itself has them
   * @param are "labels": names, or positions from 0 where all are numbers; "folders": paths of class folders, of
   *   which a class's name is what they do not share, so that photos/cat and photos/dog are cat and dog
   * @throws UserError for a label that the file lacks
   */
  finish(o: { file?: string; names?: string[]; are: "labels" | "folders" }): Classes;
}

/**
 * Collects the labels that a list or shards give their images as text. Names are ordered by code unit, not by the
 * machine's language.
 *
 * @param where for messages: what gives the labels
 */
export function collectClasses(where: string): ClassCollection {
  const known = new Map<string, number>();
  const order = column(Int32Array);
  return {
    push(label) {
      let place = known.get(label);
      if (place === undefined) {
        place = known.size;
        if (place >= MOST_CLASSES) throw new UserError(`${where} has more than ${MOST_CLASSES} classes`);
        known.set(label, place);
      }
      order.push(place);
    },
    finish({ file, names, are }) {
      const texts = are === "folders" ? namesOfFolders([...known.keys()]) : [...known.keys()];
      const numbered = are === "labels" && texts.every((text) => /^\d+$/.test(text));
      const found = () => (numbered ? numbersUpTo(texts, where) : [...new Set(texts)].sort());
      const labels = file === undefined ? (names ?? found()) : readNames(file);
      const positions = new Map(labels.map((name, i) => [name, i]));
      if (labels.length > MOST_CLASSES) throw new UserError(`${where} has more than ${MOST_CLASSES} classes`);
      const places = texts.map((text) => {
        const place = numbered ? Number(text) : positions.get(text);
        if (place === undefined || place >= labels.length)
          throw new UserError(
            `${where} has a label ${text} that is not among the ${labels.length} of ${file ?? "its own class names"}`,
          );
        return place;
      });
      const classes = order.shared();
      for (let i = 0; i < classes.length; i++) classes[i] = places[classes[i]!]!;
      return { labels, classes };
    },
  };
}

function namesOfFolders(folders: string[]): string[] {
  const parts = folders.map((folder) => folder.split("/").filter((part) => part !== "" && part !== "."));
  const [first] = parts;
  let shared = 0;
  while (parts.every((one) => one.length > shared + 1 && one[shared] === first![shared])) shared++;
  return parts.map((one) => one.slice(shared).join("/"));
}

function numbersUpTo(texts: string[], where: string): string[] {
  const last = texts.reduce((most, text) => Math.max(most, Number(text)), -1);
  if (last >= MOST_CLASSES)
    throw new UserError(`${where} has a label ${last}, more than ${MOST_CLASSES} classes`);
  return Array.from({ length: last + 1 }, (_, i) => String(i));
}

function readNames(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new UserError(
      `the class names in ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
  const names = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const met = new Set<string>();
  const twice = names.find((name) => met.size === met.add(name).size);
  if (twice !== undefined) throw new UserError(`${file} names the class ${twice} twice`);
  return names;
}
