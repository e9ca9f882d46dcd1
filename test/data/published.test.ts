import { appendFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { describe, expect, test } from "vitest";
import type { PublishedSpec } from "../../student-trainer/data/published.ts";
import { openSource } from "../../student-trainer/data/source.ts";
import { kagglesImagenet, MINIATURES } from "./miniatures.ts";
import { temporaryFolder } from "./pictures.ts";

type Name = PublishedSpec["published"];

async function miniature(published: Name): Promise<string> {
  const folder = temporaryFolder();
  await MINIATURES[published]!(folder);
  return folder;
}

/** Paths below the folder, and labels. */
async function listed(published: Name, folder: string, part: string) {
  const source = await openSource({ published, folder, part });
  const all = Array.from({ length: source.size }, (_, i) => [
    source.nameOf(i).slice(folder.length + 1),
    source.label(i),
  ]);
  expect(await source.read(source.size - 1)).toMatchObject({ data: expect.any(Uint8Array) });
  return { labels: source.labels, all, digest: source.digest };
}

test("Flowers102: MATLAB's lists, whose images and classes count from 1", async () => {
  const folder = await miniature("flowers102");
  const { labels, all } = await listed("flowers102", folder, "train");
  expect(labels).toEqual(["1", "2", "3"]);
  expect(all.slice(0, 3)).toEqual([
    ["jpg/image_00018.jpg", 2],
    ["jpg/image_00001.jpg", 0],
    ["jpg/image_00002.jpg", 1],
  ]);
  expect((await listed("flowers102", folder, "validation")).all).toHaveLength(4);
  expect((await listed("flowers102", folder, "test")).all[0]).toEqual(["jpg/image_00013.jpg", 0]);
});

test("Oxford-IIIT Pet: classes count from 1 and are called as their pictures", async () => {
  const folder = await miniature("oxford-iiit-pet");
  const { labels, all } = await listed("oxford-iiit-pet", folder, "train");
  expect(labels).toEqual(["Abyssinian", "american_bulldog", "Bengal"]);
  expect(all).toHaveLength(12);
  expect(all[5]).toEqual(["images/american_bulldog_2.jpg", 1]);
  expect((await listed("oxford-iiit-pet", folder, "test")).all[1]).toEqual(["images/Abyssinian_100.jpg", 0]);
});

test("Food-101: names of classes in a file, lists without extensions", async () => {
  const folder = await miniature("food101");
  const { labels, all } = await listed("food101", folder, "train");
  expect(labels).toEqual(["apple_pie", "baby_back_ribs", "baklava"]);
  expect(all[4]).toEqual(["images/baby_back_ribs/100.jpg", 1]);
  expect((await listed("food101", folder, "test")).all).toHaveLength(6);
});

test("SUN397: the publisher's partitions, and that of TensorFlow Datasets", async () => {
  const folder = await miniature("sun397");
  const { labels, all } = await listed("sun397", folder, "Training_01");
  expect(labels).toEqual(["a/abbey", "b/bakery/shop", "y/yard"]);
  expect(all[4]).toEqual(["SUN397/b/bakery/shop/sun_b0.jpg", 1]);
  expect((await listed("sun397", folder, "Testing_01")).all).toHaveLength(6);
  for (const [part, size] of [
    ["train", 12],
    ["validation", 3],
    ["test", 3],
  ] as const)
    expect((await listed("sun397", folder, part)).all).toHaveLength(size);
});

test("ImageNet: class folders, and flat validation images that the devkit or Kaggle labels", async () => {
  const folder = await miniature("imagenet");
  const train = await listed("imagenet", folder, "train");
  expect(train.labels).toEqual(["n01440764", "n01443537", "n02007558"]);
  expect(train.all).toHaveLength(60);
  expect(train.all[20]).toEqual(["train/n01443537/n01443537_11.JPEG", 1]);
  const validation = await listed("imagenet", folder, "validation");
  expect(validation.labels).toEqual(train.labels);
  const expected = [1, 0, 2, 0].map((label, i) => [`val/ILSVRC2012_val_0000000${i + 1}.JPEG`, label]);
  expect(validation.all).toEqual(expected);

  const kaggle = temporaryFolder();
  await kagglesImagenet(kaggle);
  expect((await listed("imagenet", kaggle, "train")).all).toHaveLength(60);
  const same = await listed("imagenet", kaggle, "validation");
  expect(same.labels).toEqual(train.labels);
  expect(same.all).toEqual(expected.map(([path, label]) => [`ILSVRC/Data/CLS-LOC/${path}`, label]).reverse());
});

describe("what is not as published is told", () => {
  test.each<[Name, string, string]>([
    ["flowers102", "dev", "flowers102 has no part dev: it has train, validation, test"],
    ["oxford-iiit-pet", "validation", "oxford-iiit-pet has no part validation: it has train, test"],
    ["food101", "validation", "food101 has no part validation: it has train, test"],
    ["sun397", "Training_11", "sun397 has no part Training_11: it has Training_01"],
    ["imagenet", "test", "imagenet has no part test: it has train, validation"],
  ])("%s, part %s", async (published, part, message) => {
    await expect(openSource({ published, folder: "/nowhere", part })).rejects.toThrow(message);
  });

  test.each<[Name, string, (folder: string) => void, string]>([
    ["flowers102", "train", (f) => rmSync(join(f, "setid.mat")), "setid.mat is missing"],
    [
      "flowers102",
      "train",
      (f) => rmSync(join(f, "jpg/image_00002.jpg")),
      "setid.mat, trnid(3): there is no image",
    ],
    [
      "oxford-iiit-pet",
      "train",
      (f) => append(f, "annotations/trainval.txt", "Bengal_7 3"),
      "line 13: expected name, class",
    ],
    [
      "oxford-iiit-pet",
      "test",
      (f) => append(f, "annotations/test.txt", "Sphynx_1 3 1 2"),
      "class 3 is Bengal, not Sphynx",
    ],
    [
      "oxford-iiit-pet",
      "test",
      (f) => append(f, "annotations/test.txt", "Sphynx_1 9 1 2"),
      "lists no images of class 4",
    ],
    ["food101", "test", (f) => append(f, "meta/test.txt", "pizza/1"), "line 7: there is no image"],
    [
      "food101",
      "test",
      (f) => writeFileSync(join(f, "meta/classes.txt"), "apple_pie\nbaklava\n"),
      "a label baby_back_ribs that is not among",
    ],
    ["sun397", "Training_02", () => {}, "Training_02.txt cannot be read (ENOENT)"],
    [
      "imagenet",
      "train",
      (f) => rmSync(join(f, "train"), { recursive: true }),
      "train cannot be read (ENOENT)",
    ],
    [
      "imagenet",
      "validation",
      (f) => append(f, `${KIT}/ILSVRC2012_validation_ground_truth.txt`, "4"),
      "line 5: 4 is no class of",
    ],
    [
      "imagenet",
      "validation",
      (f) => append(f, `${KIT}/ILSVRC2012_validation_ground_truth.txt`, "1"),
      "there is no image",
    ],
    [
      "imagenet",
      "validation",
      (f) => writeFileSync(join(f, "LOC_val_solution.csv"), "a,b\n"),
      "line 1: expected a picture",
    ],
  ])("%s %s #%#", async (published, part, spoil, message) => {
    const folder = await miniature(published);
    spoil(folder);
    const opening = openSource({ published, folder, part });
    await expect(opening).rejects.toThrow(message);
    await expect(opening).rejects.toThrow(UserError);
  });
});

const KIT = "ILSVRC2012_devkit_t12/data";
const append = (folder: string, path: string, line: string) =>
  appendFileSync(join(folder, path), `${line}\n`);
