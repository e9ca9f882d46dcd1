import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { draws, writeCentralView, writeView } from "@funmatch/views";
import { describe, expect, onTestFinished, test } from "vitest";
import { readOrReplace } from "../../student-trainer/data/corrupt.ts";
import { openPool, type PoolOptions } from "../../student-trainer/data/pool.ts";
import { evaluate } from "../../student-trainer/report/evaluate.ts";
import { pictureFolder } from "./pictures.ts";

const recipe = {
  seed: 5,
  batch: 7,
  resolution: 16,
  chunk: 7,
  view: "ic",
  mixup: 0,
  splits: {},
  workers: 2,
  maxCorrupt: 0.3,
} as const;

/** Seven pictures, of which 1 (cat/b.jpg) and 5 (dog/5.jpg) are corrupt: one is no picture, one is cut off. */
async function spoiltFolder(): Promise<string> {
  const folder = await pictureFolder();
  writeFileSync(join(folder, "cat/b.jpg"), "broken");
  writeFileSync(join(folder, "dog/5.jpg"), Buffer.of(0xff, 0xd8, 0xff, 0xe0, 0, 16));
  return folder;
}

async function pooled(folder: string, options: Partial<PoolOptions> = {}) {
  const told: string[] = [];
  const onCorrupt = (message: string) => told.push(message);
  const pool = await openPool({ ...recipe, train: { folder }, onCorrupt, ...options });
  onTestFinished(() => pool.close());
  return { pool, told };
}

describe("a corrupt image", () => {
  test("is replaced by the same other image in every epoch, with that image's label", async () => {
    const { pool } = await pooled(await spoiltFolder());
    const source = pool.sources.train!;
    const standIns = await Promise.all([1, 5].map(async (i) => (await readOrReplace(source, 5, i)).index));
    expect(standIns.some((index) => index === 1 || index === 5)).toBe(false);
    const readable = [0, 2, 3, 4, 6];
    const expected = [...readable, ...standIns].sort();
    for (const step of [1, 2, 3]) {
      const { indices, labels, replaced } = await pool.train(step);
      expect([...indices].sort()).toEqual(expected);
      expect([...labels]).toEqual([...indices].map((i) => source.label(i)));
      expect(replaced!.map(({ index, by }) => [index, by])).toEqual([
        [1, standIns[0]],
        [5, standIns[1]],
      ]);
    }
  });

  test("hands on its crop, so that its stand-in is seen in two views an epoch", async () => {
    const { pool } = await pooled(await spoiltFolder());
    const source = pool.sources.train!;
    const { views, replaced } = await pool.train(1);
    const [first] = replaced!;
    const view = new Uint8Array(16 * 16 * 3);
    writeView("ic", await source.read(first!.by), draws(5, "view", 0, first!.index), 16, view, 0);
    expect(Buffer.from(views.data).includes(Buffer.from(view))).toBe(true);
  });

  test("changes no byte with the number of threads, nor when the run is taken up later", async () => {
    const folder = await spoiltFolder();
    const digests = [];
    for (const workers of [1, 3]) {
      const { pool } = await pooled(folder, { workers, batch: 4 });
      const steps = workers === 1 ? [1, 2, 3, 4] : [3, 4];
      const batches = await Promise.all(steps.map((step) => pool.train(step)));
      digests.push(batches.slice(-2).map(({ views }) => views.digest));
    }
    expect(digests[1]).toEqual(digests[0]);
  });

  test("is counted and named once, and not again in a later sitting", async () => {
    const folder = await spoiltFolder();
    const { pool, told } = await pooled(folder);
    for (const step of [1, 2]) await pool.train(step);
    expect(told).toHaveLength(2);
    expect(told[0]).toContain(`${join(folder, "cat/b.jpg")} cannot be read: not a JPEG`);
    expect(told[1]).toContain(`${join(folder, "dog/5.jpg")} cannot be read`);
    for (const message of told) expect(message).toMatch(/; another image stands in for it$/);
    expect(pool.corrupt()).toEqual({ train: [1, 5] });
    const later = await pooled(folder, { corrupt: pool.corrupt() });
    await later.pool.train(3);
    expect(later.told).toEqual([]);
    expect(later.pool.corrupt()).toEqual({ train: [1, 5] });
  });

  test("has another's view and no label in an evaluation batch", async () => {
    const { pool } = await pooled(await spoiltFolder());
    const { labels, views, indices } = await pool.evaluation("train", 0, 7);
    expect([...indices]).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect([...labels]).toEqual([0, -1, 0, 0, 1, -1, 1]);
    const { image } = await readOrReplace(pool.sources.train!, 5, 1);
    const view = new Uint8Array(16 * 16 * 3);
    writeCentralView(image, 16, view, 0);
    expect([...views.data.subarray(view.length, 2 * view.length)]).toEqual([...view]);
  });

  test("is in no figure of an evaluation", async () => {
    const { pool } = await pooled(await spoiltFolder());
    let row = 0;
    const { accuracy, labels, student } = await evaluate({
      ...{ pool, split: "train", source: { size: 7 }, batch: 4, classes: 2, teachers: [] },
      // The first choice of every row is "cat".
      forward: async () => ({
        logits: Float32Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? 100 + row++ : 0)),
        features: new Float32Array(4),
      }),
    });
    expect([...labels]).toEqual([0, 0, 0, 1, 1]);
    expect(accuracy).toBe(3 / 5);
    expect([...student]).toEqual([100, 0, 102, 0, 103, 0, 104, 0, 106, 0]);
  });
});

test("of a split that is only evaluated, a corrupt image is left out, and said to be", async () => {
  const folder = await spoiltFolder();
  const { pool, told } = await pooled(folder, { splits: { validation: { folder } } });
  await pool.evaluation("validation", 0, 7);
  expect(told).toHaveLength(2);
  for (const message of told) expect(message).toMatch(/; it is left out$/);
});

test("more corrupt images than data.maxCorrupt are an error with examples", async () => {
  const folder = await spoiltFolder();
  const { pool } = await pooled(folder, { maxCorrupt: 0.2 });
  const failure = await pool.train(1).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(UserError);
  expect((failure as Error).message).toMatch(/^2 of the 7 images of train are corrupt, .*\(20 %\)/);
  for (const name of ["cat/b.jpg", "dog/5.jpg"])
    expect((failure as Error).message.split(join(folder, name)), "named once").toHaveLength(2);
});

test("a file that has vanished is no corrupt image: the run ends", async () => {
  const folder = await spoiltFolder();
  const { pool } = await pooled(folder);
  rmSync(join(folder, "cat/a.JPEG"));
  await expect(pool.train(1)).rejects.toThrow("cat/a.JPEG cannot be read: ENOENT");
});

test("a source without any readable image is told so", async () => {
  const folder = await pictureFolder();
  for (const name of ["cat/a.JPEG", "cat/b.jpg", "cat/c.png", "cat/é.webp"])
    writeFileSync(join(folder, name), "");
  for (const i of [4, 5, 6]) writeFileSync(join(folder, `dog/${i}.jpg`), "");
  const { pool } = await pooled(folder, { maxCorrupt: 0.9 });
  await expect(pool.train(1)).rejects.toThrow("nor can other images");
});
