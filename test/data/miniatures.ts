import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writePicture } from "./pictures.ts";

/** Published data sets in miniature: each file where its publisher has it, with three classes and small pictures. */
export const MINIATURES: Record<string, (folder: string) => Promise<void>> = {
  flowers102,
  "oxford-iiit-pet": pets,
  food101,
  sun397,
  imagenet,
};

async function flowers102(folder: string): Promise<void> {
  for (let i = 1; i <= 18; i++)
    await writePicture(join(folder, `jpg/image_${String(i).padStart(5, "0")}.jpg`), i);
  for (const name of ["imagelabels.mat", "setid.mat"]) copyGolden(name, join(folder, name));
}

async function pets(folder: string): Promise<void> {
  const breeds = ["Abyssinian", "american_bulldog", "Bengal"];
  const rows = breeds.flatMap((breed, i) =>
    [1, 2, 3, 4, 10, 100].map((n) => `${breed}_${n} ${i + 1} ${i === 1 ? 2 : 1} ${i + 1}`),
  );
  for (const [i, row] of rows.entries())
    await writePicture(join(folder, `images/${row.split(" ")[0]}.jpg`), i);
  const some = (kept: (place: number) => boolean) => rows.filter((_, i) => kept(i % 6));
  writeLines(
    join(folder, "annotations/trainval.txt"),
    some((place) => place < 4),
  );
  writeLines(
    join(folder, "annotations/test.txt"),
    some((place) => place >= 4),
  );
  writeLines(join(folder, "annotations/list.txt"), ["#Image CLASS-ID SPECIES BREED ID", ...rows]);
}

async function food101(folder: string): Promise<void> {
  const names = ["apple_pie", "baby_back_ribs", "baklava"];
  const files = names.flatMap((name, i) => [0, 1, 2, 3, 4, 5].map((n) => `${name}/${100 * i + n}`));
  for (const [i, file] of files.entries()) await writePicture(join(folder, `images/${file}.jpg`), i);
  writeLines(join(folder, "meta/classes.txt"), names);
  writeLines(
    join(folder, "meta/train.txt"),
    files.filter((_, i) => i % 6 < 4),
  );
  writeLines(
    join(folder, "meta/test.txt"),
    files.filter((_, i) => i % 6 >= 4),
  );
}

async function sun397(folder: string): Promise<void> {
  const names = ["/a/abbey", "/b/bakery/shop", "/y/yard"];
  const files = names.flatMap((name, i) => [0, 1, 2, 3, 4, 5].map((n) => `${name}/sun_${"abc"[i]}${n}.jpg`));
  for (const [i, file] of files.entries()) await writePicture(join(folder, `SUN397${file}`), i);
  const some = (kept: (place: number) => boolean) => files.filter((_, i) => kept(i % 6));
  writeLines(join(folder, "ClassName.txt"), names);
  writeLines(
    join(folder, "Training_01.txt"),
    some((place) => place < 4),
  );
  writeLines(
    join(folder, "Testing_01.txt"),
    some((place) => place >= 4),
  );
  writeLines(
    join(folder, "sun397_tfds_tr.txt"),
    some((place) => place < 4),
  );
  writeLines(
    join(folder, "sun397_tfds_va.txt"),
    some((place) => place === 4),
  );
  writeLines(
    join(folder, "sun397_tfds_te.txt"),
    some((place) => place === 5),
  );
}

/** Numbers of classes in the devkit are those of meta.mat, not the order of their names. */
export const WNIDS = ["n01440764", "n02007558", "n01443537"];

async function imagenet(folder: string): Promise<void> {
  await imagenetPictures(folder);
  const devkit = join(folder, "ILSVRC2012_devkit_t12/data");
  writeLines(join(devkit, "ILSVRC2012_validation_ground_truth.txt"), ["3", "1", "2", "1"]);
  copyGolden("meta.mat", join(devkit, "meta.mat"));
}

/** The same as Kaggle has it. */
export async function kagglesImagenet(folder: string): Promise<void> {
  await imagenetPictures(join(folder, "ILSVRC/Data/CLS-LOC"));
  const wnids = [2, 0, 1, 0].map((i) => WNIDS[i]);
  const rows = wnids.map((wnid, i) => `ILSVRC2012_val_0000000${i + 1},${wnid} 85 1 499 272 ${wnid} 1 2 3 4`);
  // In another order, as Kaggle's file is.
  writeLines(join(folder, "LOC_val_solution.csv"), ["ImageId,PredictionString", ...rows.reverse()]);
}

async function imagenetPictures(folder: string): Promise<void> {
  for (let i = 0; i < 60; i++)
    await writePicture(join(folder, `train/${WNIDS[i % 3]}/${WNIDS[i % 3]}_${i}.JPEG`), i, 24, 20);
  for (let i = 1; i <= 4; i++)
    await writePicture(join(folder, `val/ILSVRC2012_val_0000000${i}.JPEG`), 60 + i);
}

function copyGolden(name: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(fileURLToPath(new URL(`golden/${name}`, import.meta.url)), to);
}

function writeLines(path: string, lines: string[]): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${lines.join("\n")}\n`);
}
