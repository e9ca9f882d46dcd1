import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { draws, mixup, mixupLambda, writeCentralView, writeView } from "@funmatch/views";
import { describe, expect, onTestFinished, test } from "vitest";
import { examplesOf } from "../../student-trainer/data/order.ts";
import { openPool, type PoolOptions, type ViewPool } from "../../student-trainer/data/pool.ts";
import { openSource } from "../../student-trainer/data/source.ts";
import { pictureFolder, writePicture } from "./pictures.ts";

const recipe = {
  seed: 5,
  batch: 10,
  resolution: 16,
  chunk: 4,
  view: "ic",
  mixup: 1,
  splits: {},
  workers: 2,
} as const;

async function pooled(
  options: Omit<PoolOptions, keyof typeof recipe> & Partial<PoolOptions>,
): Promise<ViewPool> {
  const pool = await openPool({ ...recipe, ...options });
  onTestFinished(() => pool.close());
  return pool;
}

const sha256 = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

describe("a training batch", () => {
  test("is what its recipe says: order, views, mixup, bytes and digests", async () => {
    const train = { fashion: "test" } as const;
    const pool = await pooled({ train });
    const batch = await pool.train(201); // crosses from epoch 0 into epoch 1 after 2,000 images
    const source = await openSource(train);

    const plain = new Uint8Array(10 * 16 * 16 * 3);
    const examples = examplesOf(5, 201, 10, source.size);
    for (const [place, { epoch, index }] of examples.entries()) {
      const image = await source.read(index);
      writeView("ic", image, draws(5, "view", epoch, index), 16, plain, place * 16 * 16 * 3);
    }
    const lambda = mixupLambda(draws(5, "mixup", 201), 1);
    const expected = new Uint8Array(plain.length);
    mixup(plain, 10, lambda, expected);

    expect(batch).toMatchObject({ step: 201, epoch: 1, lambda });
    expect([...batch.indices]).toEqual(examples.map(({ index }) => index));
    expect([...batch.labels]).toEqual(examples.map(({ index }) => source.label(index)));
    expect(batch.views.shape).toEqual([10, 16, 16, 3]);
    expect(batch.views.data.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(Buffer.from(batch.views.data).equals(expected)).toBe(true);
    expect(batch.views.digest).toBe(sha256(expected));
    const size = 16 * 16 * 3;
    expect(batch.questions[0]!.views).toBe(batch.views);
    expect(batch.questions[0]!.chunks).toEqual([
      { start: 0, count: 4, digest: sha256(expected.subarray(0, 4 * size)) },
      { start: 4, count: 4, digest: sha256(expected.subarray(4 * size, 8 * size)) },
      { start: 8, count: 2, digest: sha256(expected.subarray(8 * size)) },
    ]);
  });

  test("mixes each image by a lambda of its own where asked for", async () => {
    const pool = await pooled({ train: { fashion: "test" }, lambdaEach: true });
    const { indices, lambda, lambdas, views } = await pool.train(3);
    const stream = draws(5, "mixup", 3);
    const expected = Array.from({ length: 10 }, () => mixupLambda(stream, 1));
    expect([...lambdas!]).toEqual(expected);
    expect(lambda).toBeCloseTo(expected.reduce((a, b) => a + b) / 10, 6);
    const [plain, mixed] = [new Uint8Array(10 * 16 * 16 * 3), new Uint8Array(10 * 16 * 16 * 3)];
    for (const [place, index] of indices.entries()) {
      const image = await pool.sources.train!.read(index);
      writeView("ic", image, draws(5, "view", 0, index), 16, plain, place * 16 * 16 * 3);
    }
    mixup(plain, 10, lambdas!, mixed);
    expect(Buffer.from(views.data).equals(mixed)).toBe(true);
  });

  test("without mixup holds the plain views", async () => {
    const pool = await pooled({ train: { fashion: "test" }, mixup: 0, view: "rc" });
    const batch = await pool.train(1);
    const view = new Uint8Array(16 * 16 * 3);
    const image = await pool.sources.train!.read(batch.indices[2]!);
    writeView("rc", image, draws(5, "view", 0, batch.indices[2]!), 16, view, 0);
    expect(batch.lambda).toBe(1);
    expect([...batch.views.data.subarray(2 * view.length, 3 * view.length)]).toEqual([...view]);
  });

  test.each(["photographs", "fashion"])(
    "of %s has the same bytes with one, two and three threads",
    async (kind) => {
      const train =
        kind === "fashion" ? ({ fashion: "validation" } as const) : { folder: await pictureFolder() };
      const made = [];
      for (const workers of [1, 2, 3]) {
        const pool = await pooled({ train, workers });
        // Several at once, the last first: neither how many nor in which order they are asked for matters.
        const steps = [8, 7, 6, 5, 4, 3, 2, 1];
        const batches = await Promise.all(steps.map((step) => pool.train(step)));
        made.push(
          batches.map(({ step, lambda, indices, views }) => [step, lambda, String(indices), views.digest]),
        );
      }
      expect(made[1]).toEqual(made[0]);
      expect(made[2]).toEqual(made[0]);
      expect(new Set(made[0]!.map(([, , , digest]) => digest)).size).toBe(8);
    },
  );
});

describe("an evaluation batch", () => {
  test("holds central views in data order, of any split and of the training images", async () => {
    const pool = await pooled({
      train: { fashion: "validation" },
      splits: { test: { fashion: "test" } },
    });
    for (const split of ["train", "test"]) {
      const source = pool.sources[split]!;
      const { indices, labels, views } = await pool.evaluation(split, 17, 3);
      const expected = new Uint8Array(3 * 16 * 16 * 3);
      for (const place of [0, 1, 2]) {
        writeCentralView(await source.read(17 + place), 16, expected, place * 16 * 16 * 3);
      }
      expect([...indices]).toEqual([17, 18, 19]);
      expect([...labels]).toEqual([17, 18, 19].map((i) => source.label(i)));
      expect([...views.data]).toEqual([...expected]);
      expect(views.digest).toBe(sha256(expected));
    }
  });

  test("beyond the end of a split, or of no split, is refused", async () => {
    const pool = await pooled({ train: { fashion: "validation" } });
    await expect(pool.evaluation("train", 990, 20)).rejects.toThrow("has 1000 images");
    await expect(pool.evaluation("holdout", 0, 1)).rejects.toThrow("no split called holdout");
  });
});

describe("a pool", () => {
  test("names the picture that cannot be decoded, and goes on with other steps", async () => {
    const folder = await pictureFolder();
    writeFileSync(join(folder, "cat/b.jpg"), "broken");
    const pool = await pooled({ train: { folder }, batch: 1 });
    const steps = Array.from({ length: 7 }, (_, i) => pool.train(i + 1));
    const ended = await Promise.allSettled(steps);
    const failures = ended.filter((step) => step.status === "rejected");
    expect(failures).toHaveLength(1);
    expect(failures[0]!.reason).toBeInstanceOf(UserError);
    expect(failures[0]!.reason.message).toContain(`${join(folder, "cat/b.jpg")} cannot be read`);
  });

  test("refuses splits with other classes", async () => {
    const [train, validation] = [await pictureFolder(), await pictureFolder()];
    await writePicture(join(validation, "emu/1.jpg"), 1);
    const opening = openPool({
      ...recipe,
      train: { folder: train },
      splits: { validation: { folder: validation } },
    });
    await expect(opening).rejects.toThrow(UserError);
    await expect(
      openPool({ ...recipe, train: { folder: validation }, splits: { validation: { folder: train } } }),
    ).rejects.toThrow("lacks the class emu");
  });

  test("uses released memory again, and no memory twice", async () => {
    const pool = await pooled({ train: { fashion: "validation" }, workers: 1 });
    const [first, second] = [await pool.train(1), await pool.train(2)];
    const bytes = first.views.data.slice();
    expect(second.views.data.buffer).not.toBe(first.views.data.buffer);
    pool.release(second);
    const third = await pool.train(3);
    expect(third.views.data.buffer).toBe(second.views.data.buffer);
    expect(first.views.data).toEqual(bytes);
    pool.release(third);
    expect(() => pool.release(second)).toThrow("released before");
  });

  test("closes at once: what is being made is finished, what waits is refused", async () => {
    const pool = await openPool({ ...recipe, train: { fashion: "validation" }, workers: 1 });
    const steps = [1, 2, 3].map((step) => pool.train(step));
    const ended = Promise.allSettled(steps);
    await pool.close();
    expect((await ended).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    await expect(pool.train(4)).rejects.toThrow("closed");
  });
});
