import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import type { Listed } from "../listed-files.ts";
import { readMat } from "../mat.ts";
import { isPictureName } from "../picture-file.ts";
import { linesOf } from "../text-lines.ts";
import { noSuchPart, type Part } from "./layout.ts";

/** Where Kaggle's copy has the folders train and val. */
const KAGGLE = "ILSVRC/Data/CLS-LOC";
const KAGGLES_LABELS = "LOC_val_solution.csv";
const DEVKIT = "ILSVRC2012_devkit_t12/data";

/**
 * ImageNet (ILSVRC 2012): train/n01440764/*.JPEG … and val/ILSVRC2012_val_00000001.JPEG …, whose labels are in the
 * publisher's devkit (ILSVRC2012_devkit_t12) or in Kaggle's LOC_val_solution.csv; Kaggle's tree is read too. Classes
 * are the WordNet ids, in their order.
 */
export async function imagenet(folder: string, part: string): Promise<Part> {
  const root = existsSync(join(folder, KAGGLE)) ? `${KAGGLE}/` : "";
  if (part === "train") return classFolders(folder, `${root}train`);
  if (part !== "validation") noSuchPart("imagenet", part, "train, validation");
  const labels = existsSync(join(folder, KAGGLES_LABELS)) ? kagglesLabels(folder) : devkitsLabels(folder);
  const listed: Listed[] = [];
  for await (const { name, label, where } of labels)
    listed.push({ path: `${root}val/${name}.JPEG`, label, where });
  return { names: [...new Set(listed.map(({ label }) => label))].sort(), listed };
}

function classFolders(folder: string, train: string): Part {
  const path = join(folder, train);
  const names = entriesOf(path).filter((name) => /^n\d{8}$/.test(name));
  if (names.length === 0) throw new UserError(`${path} holds no folders such as n01440764`);
  function* listed(): Generator<Listed> {
    for (const label of names)
      for (const file of entriesOf(join(path, label)))
        if (isPictureName(file)) yield { path: `${train}/${label}/${file}`, label, where: join(path, label) };
  }
  return { names, listed: listed() };
}

function entriesOf(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (error) {
    throw new UserError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

type Labels = AsyncGenerator<{ name: string; label: string; where: string }>;

/** Lines such as "ILSVRC2012_val_00048981,n03995372 85 1 499 272", after a head. */
async function* kagglesLabels(folder: string): Labels {
  for await (const { text, where } of linesOf(join(folder, KAGGLES_LABELS), "the labels")) {
    if (text.startsWith("ImageId,")) continue;
    const [, name, label] = /^(ILSVRC2012_val_\d{8}),(n\d{8}) /.exec(text) ?? [];
    if (!name || !label) throw new UserError(`${where}: expected a picture, a comma and its class`);
    yield { name, label, where };
  }
}

/** Line i has the number of the class of picture i; meta.mat tells which class has which number. */
async function* devkitsLabels(folder: string): Labels {
  const meta = join(folder, DEVKIT, "meta.mat");
  const synsets = readMat(meta).get("synsets");
  const fields = synsets?.kind === "records" ? synsets.fields : undefined;
  const wnids = new Map<number, string>();
  for (const [i, id] of (fields?.get("ILSVRC2012_ID") ?? []).entries()) {
    const wnid = fields?.get("WNID")?.[i];
    if (id?.kind === "numbers" && wnid?.kind === "text") wnids.set(id.values[0]!, wnid.text);
  }
  if (wnids.size === 0) throw new UserError(`${meta} has no synsets with ILSVRC2012_ID and WNID`);
  const truth = join(folder, DEVKIT, "ILSVRC2012_validation_ground_truth.txt");
  let number = 0;
  for await (const { text, where } of linesOf(truth, "the labels")) {
    const label = wnids.get(Number(text));
    if (!label) throw new UserError(`${where}: ${text} is no class of ${meta}`);
    yield { name: `ILSVRC2012_val_${String(++number).padStart(8, "0")}`, label, where };
  }
}
