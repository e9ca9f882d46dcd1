import { describe, expect, test } from "vitest";
import { openPool } from "../../student-trainer/data/pool.ts";
import { boundsOfSlice } from "../../student-trainer/data/slice-bounds.ts";
import { openSource } from "../../student-trainer/data/source.ts";
import { pictureFolder } from "./pictures.ts";

describe("the bounds of a part", () => {
  // What tfds.core.ReadInstruction makes of the same text: int(round(percent * size / 100)) in Python.
  test.each([
    ["[:90%]", 3068, 0, 2761],
    ["[90%:]", 3068, 2761, 3068],
    ["[99%:]", 1281167, 1268355, 1281167],
    ["[25%:75%]", 10, 2, 8], // 2.5 and 7.5: halves to the even number
    ["[-10%:]", 25, 23, 25], // -2.5: to -2
    ["[:12.5%]", 1000, 0, 125],
    ["[:]", 7, 0, 7],
    ["[3:5]", 7, 3, 5],
    ["[:-2]", 7, 0, 5],
    ["[2:50%]", 10, 2, 5],
  ])("%s of %i images: %i to %i", (slice, size, from, to) => {
    expect(boundsOfSlice(slice, size)).toEqual([from, to]);
  });

  test.each([
    ["[:1%]", 7, "holds none"],
    ["[5:3]", 7, "holds none"],
    ["[:8]", 7, "reaches beyond the 7 images"],
    ["[:101%]", 700, "reaches beyond"],
    ["90%", 7, "is not a part such as"],
    ["[1]", 7, "is not a part such as"],
  ])("%s of %i images is refused", (slice, size, message) => {
    expect(() => boundsOfSlice(slice, size)).toThrow(message);
  });
});

test("a part that cannot be names the data that it is of", async () => {
  const folder = await pictureFolder();
  await expect(openSource({ folder, split: "[5:90]" })).rejects.toThrow(
    `split of ${folder}: [5:90] reaches beyond the 7 images`,
  );
});

test("two parts share no image, leave none out, hold all classes and keep the order", async () => {
  const whole = await openSource({ fashion: "validation" });
  const parts = [
    await openSource({ fashion: "validation", split: "[:90%]" }),
    await openSource({ fashion: "validation", split: "[90%:]" }),
  ];
  expect(parts.map(({ size }) => size)).toEqual([900, 100]);
  const names = parts.map((part) => Array.from({ length: part.size }, (_, i) => part.nameOf(i)));
  const all = Array.from({ length: whole.size }, (_, i) => whole.nameOf(i));
  expect(names[1]).toEqual(all.filter((name) => !names[0]!.includes(name)));
  for (const part of parts) {
    const classes = new Set(Array.from({ length: part.size }, (_, i) => part.label(i)));
    expect(classes.size).toBe(10);
  }
  expect(new Set([whole, ...parts].map(({ digest }) => digest)).size).toBe(3);
});

test("a part of a folder is trained on, one and the same with any number of threads", async () => {
  const folder = await pictureFolder();
  const digests = [];
  for (const workers of [1, 2]) {
    const pool = await openPool({
      train: { folder, split: "[:60%]" },
      splits: { validation: { folder, split: "[60%:]" } },
      ...{ seed: 1, batch: 4, resolution: 8, chunk: 4, view: "ic", mixup: 1, workers },
    });
    expect(pool.sources).toMatchObject({ train: { size: 4 }, validation: { size: 3 } });
    const batches = [await pool.train(1), await pool.evaluation("validation", 0, 3)];
    digests.push(batches.map(({ views }) => views.digest));
    await pool.close();
  }
  expect(digests[1]).toEqual(digests[0]);
});
