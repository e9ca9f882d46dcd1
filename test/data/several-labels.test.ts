import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openSource, type SourceSpec } from "../../student-trainer/data/source.ts";
import { temporaryFolder, writePicture } from "./pictures.ts";

/** Small pictures of these paths below a new folder. */
async function pictures(...paths: string[]): Promise<string> {
  const folder = temporaryFolder();
  for (const [i, path] of paths.entries()) await writePicture(join(folder, path), i);
  return folder;
}

/** ImageNet's validation images as they are usually laid out: in a folder for each class. */
function imagenetFolder(): Promise<string> {
  const name = (i: number) => `ILSVRC2012_val_0000000${i}.JPEG`;
  return pictures(`n01/${name(3)}`, `n02/${name(1)}`, `n02/${name(4)}`, `n03/${name(2)}`);
}

function labelled(folder: string, content: unknown): SourceSpec & { labels: string } {
  const labels = join(temporaryFolder(), "labels.json");
  writeFileSync(labels, typeof content === "string" ? content : JSON.stringify(content));
  return { folder, labels };
}

const answersOf = async (spec: SourceSpec) => {
  const { answers, size } = await openSource(spec);
  return Array.from({ length: size }, (_, i) => [...answers!(i)]);
};

test("real.json as published: entries by the number in an image's name, whatever folder it is in", async () => {
  const folder = await imagenetFolder();
  const spec = labelled(folder, [[], [2, 1], [0], [1]]); // of images 1 … 4
  expect(await answersOf(spec)).toEqual([[0], [], [1], [2, 1]]);
  const source = await openSource(spec);
  expect(source.label(0)).toBe(0); // its own label stays
  const part = { ...spec, split: "[50%:]" };
  const chosen = await openSource(part);
  const all = await openSource(spec);
  const names = Array.from({ length: 4 }, (_, i) => all.nameOf(i));
  for (let i = 0; i < chosen.size; i++)
    expect([...chosen.answers!(i)]).toEqual([...all.answers!(names.indexOf(chosen.nameOf(i)))]);
});

test("an object of entries by path or file name; labels may be names", async () => {
  const folder = await pictures("cat/1.jpg", "cat/2.jpg", "dog/1.jpg");
  const spec = labelled(folder, { "cat/1.jpg": ["cat", 1], "2.jpg": [], "dog/1.jpg": ["dog"] });
  expect(await answersOf(spec)).toEqual([[0, 1], [], [1]]);
  await expect(answersOf(labelled(folder, { "1.jpg": [0], "2.jpg": [0] }))).rejects.toThrow(
    /1\.jpg may be .*cat\/1\.jpg or .*dog\/1\.jpg: give more of the path/,
  );
  await expect(answersOf(labelled(folder, { "cat/1.jpg": [0] }))).rejects.toThrow(
    /has no entry for .*cat\/2\.jpg: an image that is not to count has an empty list/,
  );
});

test("images without numbers in their names take a list in data order", async () => {
  const source = await openSource({ fashion: "validation" });
  const list = Array.from({ length: source.size }, (_, i) => [i % 10]);
  const { labels } = labelled("", list);
  const { answers } = await openSource({ fashion: "validation", labels });
  expect([...answers!(123)]).toEqual([3]);
});

test.each([
  [[[0], [1]], /has 2 entries, none for .*ILSVRC2012_val_0000000[34].JPEG/],
  [[[3], [0], [0], [0]], /entry 0 has a label 3: there are 3 classes, from 0/],
  [[[0], ["n04"], [0], [0]], /entry 1 has a label "n04"/],
  [[[0], 1, [0], [0]], /entry 1 is not a list of labels/],
  [[[], [], [], []], /gives no image of .* a label/],
  ["[[0], ", /is not JSON/],
  ["null", /expected a list of lists of labels, or an object/],
])("%j is refused", async (content, message) => {
  await expect(openSource(labelled(await imagenetFolder(), content))).rejects.toThrow(message);
});

test("a list that is not as long as the data, and a file that is not there, are refused", async () => {
  const { labels } = labelled("", [[0]]);
  await expect(openSource({ fashion: "validation", labels })).rejects.toThrow(/has 1 entries, but .* images/);
  mkdirSync(join(labels, "..", "folder"));
  for (const path of [`${labels}.gone`, join(labels, "..", "folder")])
    await expect(openSource({ fashion: "validation", labels: path })).rejects.toThrow(
      `there is no file of labels ${path}`,
    );
});
