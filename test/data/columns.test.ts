import { expect, test } from "vitest";
import { column, nameAt, nameColumn } from "../../student-trainer/data/columns.ts";
import { indexSources } from "../../student-trainer/data/source.ts";
import { pictureFolder } from "./pictures.ts";

test("numbers come back as they were pushed, in memory that threads share", () => {
  const numbers = column(Float64Array);
  for (let i = 0; i < 5000; i++) numbers.push(i / 2);
  numbers.append([-1, 2 ** 40]);
  const shared = numbers.shared();
  expect(shared.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(numbers.length).toBe(5002);
  expect([shared[0], shared[4999], shared[5000], shared[5001]]).toEqual([0, 2499.5, -1, 2 ** 40]);
});

test("names are bytes and ends, not objects: a hundred thousand take what their text takes", () => {
  const names = nameColumn();
  for (let i = 0; i < 100_000; i++) names.push(i === 7 ? "é日本.jpg" : `n01440764_${i}.JPEG`);
  const shared = names.shared();
  expect([0, 7, 8, 99_999].map((i) => nameAt(shared, i))).toEqual([
    "n01440764_0.JPEG",
    "é日本.jpg",
    "n01440764_8.JPEG",
    "n01440764_99999.JPEG",
  ]);
  expect(shared.bytes.length + shared.ends.byteLength).toBeLessThan(25 * 100_000);
});

test("parts of the same data share one index", async () => {
  const folder = await pictureFolder();
  const { train, validation, whole } = await indexSources({
    train: { folder, split: "[:50%]" },
    validation: { folder, split: "[50%:]" },
    whole: { folder },
  });
  expect(train).toMatchObject({ kind: "folder" });
  for (const part of [train, validation])
    if (part?.kind === "folder" && whole?.kind === "folder")
      expect(part.names.bytes.buffer).toBe(whole.names.bytes.buffer);
  expect([train!.slice!.images.length, validation!.slice!.images.length]).toEqual([4, 3]);
});
