import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openSource } from "../../student-trainer/data/source.ts";
import { pictureFolder, temporaryFolder, writePicture } from "./pictures.ts";

function listFile(text: string, name = "train.txt"): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, text);
  return path;
}

async function listed(text: string, names?: string) {
  const folder = await pictureFolder();
  const classes = names === undefined ? undefined : listFile(names, "classes.txt");
  const source = await openSource({ folder, list: listFile(text), ...(classes && { classes }) });
  const all = Array.from({ length: source.size }, (_, i) => [
    source.nameOf(i).slice(folder.length + 1),
    source.labels[source.label(i)],
  ]);
  return { source, all };
}

test("paths below class folders, in the list's order", async () => {
  const { source, all } = await listed("dog/5.jpg\n# a remark\n\ncat/é.webp\r\ndog/4.jpg");
  expect(source.labels).toEqual(["cat", "dog"]);
  expect(all).toEqual([
    ["dog/5.jpg", "dog"],
    ["cat/é.webp", "cat"],
    ["dog/4.jpg", "dog"],
  ]);
  expect((await source.read(1)).width).toBe(40);
});

test("labels that are names", async () => {
  const { all } = await listed("dog/5.jpg wolf\ncat/a.JPEG\tlynx\n");
  expect(all).toEqual([
    ["dog/5.jpg", "wolf"],
    ["cat/a.JPEG", "lynx"],
  ]);
});

test("labels that are numbers are positions, whose names a file gives", async () => {
  const { source } = await listed("dog/5.jpg 2\ncat/a.JPEG 0\n");
  expect(source.labels).toEqual(["0", "1", "2"]);
  expect([source.label(0), source.label(1)]).toEqual([2, 0]);
  const named = await listed("dog/5.jpg 2\ncat/a.JPEG 0\n", "lynx\nmaine coon\nwolf\nyak\n");
  expect(named.source.labels).toEqual(["lynx", "maine coon", "wolf", "yak"]);
  expect(named.all.map(([, label]) => label)).toEqual(["wolf", "lynx"]);
});

test("classes are what the folders of a list do not share, as SUN397's need", async () => {
  const folder = temporaryFolder();
  const files = ["/a/abbey/1.jpg", "/b/bank/indoor/2.jpg", "/h/house/indoor/3.jpg"];
  for (const file of files) await writePicture(join(folder, "photos", file), 1);
  const sun = await openSource({ folder: join(folder, "photos"), list: listFile(files.join("\n")) });
  expect(sun.labels).toEqual(["a/abbey", "b/bank/indoor", "h/house/indoor"]);
  expect(await sun.read(1)).toMatchObject({ width: 40 });
  const above = files.map((file) => `./photos${file}`).join("\n");
  expect((await openSource({ folder, list: listFile(above) })).labels).toEqual(sun.labels);
  expect((await openSource({ folder, list: listFile("photos/a/abbey/1.jpg") })).labels).toEqual(["abbey"]);
});

test("paths without an extension are JPEGs, as in Food-101's lists", async () => {
  const { all } = await listed("dog/5\ncat/b\n");
  expect(all).toEqual([
    ["dog/5.jpg", "dog"],
    ["cat/b.jpg", "cat"],
  ]);
});

test("class folders that are called by numbers are names, in name order", async () => {
  const folder = temporaryFolder();
  for (const name of ["10/a.jpg", "2/b.jpg"]) await writePicture(join(folder, name), 1);
  const source = await openSource({ folder, list: listFile("2/b.jpg\n10/a.jpg") });
  expect(source.labels).toEqual((await openSource({ folder })).labels);
  expect([source.label(0), source.label(1)]).toEqual([1, 0]);
});

test("paths may hold spaces", async () => {
  const folder = temporaryFolder();
  await writePicture(join(folder, "big cats/my cat 1.jpg"), 1);
  const plain = await openSource({ folder, list: listFile("big cats/my cat 1.jpg") });
  expect(plain.labels).toEqual(["big cats"]);
  const labelled = await openSource({ folder, list: listFile("big cats/my cat 1.jpg 3") });
  expect(labelled.label(0)).toBe(3);
});

test("the digest changes with order and labels", async () => {
  const digests = ["dog/5.jpg 0\ndog/4.jpg 1", "dog/4.jpg 1\ndog/5.jpg 0", "dog/5.jpg 1\ndog/4.jpg 1"];
  const made = await Promise.all(digests.map(async (text) => (await listed(text)).source.digest));
  expect(new Set(made).size).toBe(3);
});

describe("mistakes are told with their line", () => {
  test.each([
    ["", "lists no images"],
    ["dog/5.jpg\ncat/zebra.jpg", "line 2: there is no image"],
    ["dog/5.jpg 1\ncat/a.JPEG", "line 2: either every line has a label, or none has"],
    ["a.jpg", "line 1: a.jpg has no label and lies in no class folder"],
    ["/a.jpg", "line 1: /a.jpg has no label and lies in no class folder"],
    ["dog/5.jpg 1000000", "more than 100000 classes"],
  ])("%j", async (text, message) => {
    await expect(listed(text)).rejects.toThrow(message);
  });

  test("a label without a name, a class named twice, and no such files", async () => {
    await expect(listed("dog/5.jpg 2", "lynx\nwolf\n")).rejects.toThrow("a label 2 that is not among the 2");
    await expect(listed("dog/5.jpg yak", "lynx\n")).rejects.toThrow("a label yak that is not among the 1");
    await expect(listed("dog/5.jpg 0", "lynx\nlynx\n")).rejects.toThrow("names the class lynx twice");
    const folder = await pictureFolder();
    await expect(openSource({ folder, list: "/nowhere/train.txt" })).rejects.toThrow("(ENOENT)");
    await expect(
      openSource({ folder, list: listFile("dog/5.jpg 0"), classes: "/nowhere/classes.txt" }),
    ).rejects.toThrow("the class names in /nowhere/classes.txt cannot be read (ENOENT)");
  });
});
