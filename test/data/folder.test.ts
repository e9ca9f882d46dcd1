import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { describe, expect, test } from "vitest";
import { openSource } from "../../student-trainer/data/source.ts";
import { pictureFolder, temporaryFolder, writePicture } from "./pictures.ts";

test("a class a folder, classes and files in name order", async () => {
  const folder = await pictureFolder();
  writeFileSync(join(folder, "cat/notes.txt"), "not an image");
  writeFileSync(join(folder, "cat/.hidden.jpg"), "not an image");
  writeFileSync(join(folder, "README.md"), "not a class");
  const source = await openSource({ folder });
  expect(source.labels).toEqual(["cat", "dog"]);
  expect(source.size).toBe(7);
  const names = Array.from({ length: 7 }, (_, i) => source.nameOf(i).slice(folder.length + 1));
  expect(names).toEqual([
    "cat/a.JPEG",
    "cat/b.jpg",
    "cat/c.png",
    "cat/é.webp",
    "dog/4.jpg",
    "dog/5.jpg",
    "dog/6.jpg",
  ]);
  expect(Array.from({ length: 7 }, (_, i) => source.label(i))).toEqual([0, 0, 0, 0, 1, 1, 1]);
  const image = await source.read(5);
  expect([image.height, image.width, image.data.length]).toEqual([50, 35, 50 * 35 * 3]);
});

test("the digest changes with a file's name or size, not with where the folder is", async () => {
  const [one, other] = [await pictureFolder(), await pictureFolder()];
  const digest = (await openSource({ folder: one })).digest;
  expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect((await openSource({ folder: other })).digest).toBe(digest);
  await writePicture(join(other, "dog/4.jpg"), 4, 64, 64);
  expect((await openSource({ folder: other })).digest).not.toBe(digest);
});

describe("mistakes are told in one line", () => {
  const refusal = async (folder: string) => {
    const error = await openSource({ folder }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(error).toBeInstanceOf(UserError);
    return (error as Error).message;
  };

  test("no such folder", async () => {
    expect(await refusal("/nowhere/photos")).toBe("The image folder /nowhere/photos does not exist");
  });

  test("a file instead of a folder", async () => {
    const file = join(temporaryFolder(), "photos.zip");
    writeFileSync(file, "");
    expect(await refusal(file)).toContain("is a file");
  });

  test("no class folders", async () => {
    const folder = temporaryFolder();
    await writePicture(join(folder, "a.jpg"), 1);
    expect(await refusal(folder)).toContain("holds no class folders");
  });

  test("an empty class", async () => {
    const folder = await pictureFolder();
    mkdirSync(join(folder, "emu"));
    expect(await refusal(folder)).toContain(`${join(folder, "emu")} holds no images`);
  });

  test("a damaged or vanished picture is named when it is read", async () => {
    const folder = await pictureFolder();
    writeFileSync(join(folder, "dog/5.jpg"), "broken");
    const source = await openSource({ folder });
    rmSync(join(folder, "dog/6.jpg"));
    await expect(source.read(5)).rejects.toThrow(UserError);
    await expect(source.read(5)).rejects.toThrow(`${join(folder, "dog/5.jpg")} cannot be read: not a JPEG`);
    await expect(source.read(6)).rejects.toThrow("dog/6.jpg cannot be read: ENOENT");
  });
});
