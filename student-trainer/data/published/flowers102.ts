import { join } from "node:path";
import { UserError } from "@funmatch/config";
import type { Listed } from "../listed-files.ts";
import { numbersIn } from "../mat.ts";
import { noSuchPart, type Part } from "./layout.ts";

/** The variables of setid.mat that hold the numbers of a part's pictures, from 1. */
const PARTS: Record<string, string> = { train: "trnid", validation: "valid", test: "tstid" };

/** Flowers102: jpg/image_00001.jpg …, imagelabels.mat and setid.mat. Its classes have numbers only, from 1. */
export function flowers102(folder: string, part: string): Part {
  const variable = PARTS[part] ?? noSuchPart("flowers102", part, Object.keys(PARTS).join(", "));
  const labels = numbersIn(join(folder, "imagelabels.mat"), "labels");
  const setid = join(folder, "setid.mat");
  const strange = labels.find((label) => !(Number.isInteger(label) && label >= 1 && label <= labels.length));
  if (strange !== undefined) throw new UserError(`${join(folder, "imagelabels.mat")} has a label ${strange}`);
  const classes = labels.reduce((most, label) => Math.max(most, label), 0);

  function* listed(): Generator<Listed> {
    for (const [i, image] of numbersIn(setid, variable).entries()) {
      const where = `${setid}, ${variable}(${i + 1})`;
      const label = labels[image - 1];
      if (label === undefined) throw new UserError(`${where} is ${image}, of ${labels.length} images`);
      yield { path: `jpg/image_${String(image).padStart(5, "0")}.jpg`, label: String(label - 1), where };
    }
  }
  return { names: Array.from({ length: classes }, (_, i) => String(i + 1)), listed: listed() };
}
