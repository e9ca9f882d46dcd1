import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { packIdx, readIdx } from "../../student-trainer/data/idx.ts";
import { openSource } from "../../student-trainer/data/source.ts";
import { temporaryFolder } from "./pictures.ts";

const bundled = fileURLToPath(new URL("../../data/fashion", import.meta.url));

describe("the bundled Fashion-MNIST", () => {
  test.each([
    ["train", 14_000],
    ["validation", 1_000],
    ["test", 2_000],
  ] as const)("%s: %i images, classes equally large", async (fashion, size) => {
    const source = await openSource({ fashion });
    expect(source.size).toBe(size);
    expect(source.labels).toHaveLength(10);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < size; i++) counts[source.label(i)]!++;
    expect(new Set(counts)).toEqual(new Set([size / 10]));
  });

  test("images are gray RGB of 28x28, and none is in two splits", async () => {
    const seen = new Set<string>();
    let size = 0;
    for (const fashion of ["train", "validation", "test"] as const) {
      const source = await openSource({ fashion });
      const own = new Set<string>();
      for (let i = 0; i < source.size; i++)
        own.add(Buffer.from((await source.read(i)).data).toString("latin1"));
      for (const image of own) seen.add(image);
      size += own.size;
    }
    expect(seen.size).toBe(size);
    const { data, height, width } = await (await openSource({ fashion: "test" })).read(0);
    expect([height, width, data.length]).toEqual([28, 28, 28 * 28 * 3]);
    expect(data.every((value, i) => value === data[i - (i % 3)])).toBe(true);
  });

  test("takes less than 8 MB and brings its licence", () => {
    const bytes = readdirSync(bundled).reduce((sum, name) => sum + statSync(join(bundled, name)).size, 0);
    expect(bytes).toBeLessThan(8e6);
    expect(readFileSync(join(bundled, "LICENSE"), "utf8")).toContain("Zalando SE");
  });
});

describe("other folders of the same files", () => {
  const write = (folder: string, images: Uint8Array, labels: Uint8Array) => {
    writeFileSync(join(folder, "train-images.idx3.gz"), images);
    writeFileSync(join(folder, "train-labels.idx1.gz"), labels);
  };
  const images = packIdx({ shape: [2, 3, 4], data: Uint8Array.from({ length: 24 }, (_, i) => i) });

  test("are read back as they were written", async () => {
    const folder = temporaryFolder();
    write(folder, images, packIdx({ shape: [2], data: Uint8Array.of(3, 9) }));
    const source = await openSource({ fashion: "train", path: folder });
    expect([source.label(0), source.label(1)]).toEqual([3, 9]);
    expect([...(await source.read(1)).data.subarray(0, 6)]).toEqual([12, 12, 12, 13, 13, 13]);
    expect((await readIdx(join(folder, "train-images.idx3.gz"), 3)).shape).toEqual([2, 3, 4]);
  });

  test.each([
    ["a missing file", undefined, "train-images.idx3.gz is missing"],
    ["a cut file", images.subarray(0, 30), "is not a whole gzip file"],
    ["labels instead of images", packIdx({ shape: [2], data: new Uint8Array(2) }), "is not an IDX file"],
    [
      "fewer labels than images",
      packIdx({ shape: [3, 3, 4], data: new Uint8Array(36) }),
      "3 images and 2 labels",
    ],
  ])("%s is told in one line", async (_, file, message) => {
    const folder = temporaryFolder();
    if (file !== undefined) write(folder, file, packIdx({ shape: [2], data: Uint8Array.of(3, 9) }));
    await expect(openSource({ fashion: "train", path: folder })).rejects.toThrow(message);
  });

  test("a label beyond the last class is refused", async () => {
    const folder = temporaryFolder();
    write(folder, images, packIdx({ shape: [2], data: Uint8Array.of(3, 10) }));
    await expect(openSource({ fashion: "train", path: folder })).rejects.toThrow("label 10");
  });
});
