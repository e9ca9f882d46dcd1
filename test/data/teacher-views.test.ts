import { createHash } from "node:crypto";
import { drawFraming, draws, mixup, writeCentralView, writeFramed, writeView } from "@funmatch/views";
import { expect, onTestFinished, test } from "vitest";
import { type FixedView, nameOfView } from "../../student-trainer/data/fixed-views.ts";
import { openPool, type PoolOptions } from "../../student-trainer/data/pool.ts";

async function pooled(options: Partial<PoolOptions>) {
  const pool = await openPool({
    ...{ seed: 5, batch: 10, resolution: 16, chunk: 4, view: "ic", mixup: 0, splits: {}, workers: 2 },
    train: { fashion: "test" },
    ...options,
  });
  onTestFinished(() => pool.close());
  return pool;
}

const sha256 = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const BYTES = 16 * 16 * 3;

test.each(["ic", "rc"] as const)("an independent teacher gets %s views that are drawn anew", async (view) => {
  const pool = await pooled({ view, teachers: [{ resolution: 16, training: "independent" }] });
  const { indices, views, questions } = await pool.train(3);
  const { views: teacherViews, chunks } = questions[0]!;
  const [student, teacher] = [new Uint8Array(10 * BYTES), new Uint8Array(10 * BYTES)];
  for (const [place, index] of indices.entries()) {
    const image = await pool.sources.train!.read(index);
    writeView(view, image, draws(5, "view", 0, index), 16, student, place * BYTES);
    writeView(view, image, draws(5, "teacher view", 0, index), 16, teacher, place * BYTES);
  }
  expect(Buffer.from(views.data).equals(student)).toBe(true);
  expect(Buffer.from(teacherViews.data).equals(teacher)).toBe(true);
  expect([views.digest, teacherViews.digest]).toEqual([sha256(student), sha256(teacher)]);
  expect(views.digest).not.toBe(teacherViews.digest);
  expect(chunks.map(({ digest }) => digest)).toEqual([
    sha256(teacher.subarray(0, 4 * BYTES)),
    sha256(teacher.subarray(4 * BYTES, 8 * BYTES)),
    sha256(teacher.subarray(8 * BYTES)),
  ]);
});

test("at a resolution of its own a teacher gets the same crops and flips, mixed alike", async () => {
  const pool = await pooled({ mixup: 1, teachers: [{ resolution: 24, training: "same" }] });
  const { indices, lambda, views, questions } = await pool.train(3);
  for (const [{ data, shape }, side] of [
    [views, 16],
    [questions[0]!.views, 24],
  ] as const) {
    const plain = new Uint8Array(10 * side * side * 3);
    for (const [place, index] of indices.entries()) {
      const image = await pool.sources.train!.read(index);
      writeView("ic", image, draws(5, "view", 0, index), side, plain, place * side * side * 3);
    }
    const mixed = new Uint8Array(plain.length);
    mixup(plain, 10, lambda, mixed);
    expect(shape).toEqual([10, side, side, 3]);
    expect(Buffer.from(data).equals(mixed)).toBe(true);
  }
});

test.each(["same", "independent"] as const)(
  "several teachers: %s views, each at its resolution and in its own chunks, equal ones only once",
  async (training) => {
    const teachers = [16, 24, 24, 16].map((resolution, i) => ({ resolution, training, chunk: 4 + i }));
    const pool = await pooled({ mixup: 1, teachers });
    const { indices, lambda, views, questions } = await pool.train(3);
    const stream = training === "same" ? "view" : "teacher view";
    for (const [i, { views: asked, chunks }] of questions.entries()) {
      const { resolution: side, chunk } = teachers[i]!;
      const plain = new Uint8Array(10 * side * side * 3);
      for (const [place, index] of indices.entries()) {
        const image = await pool.sources.train!.read(index);
        const framing = drawFraming("ic", image, draws(5, stream, 0, index), 16);
        writeFramed(image, framing, side, plain, place * side * side * 3);
      }
      const mixed = new Uint8Array(plain.length);
      mixup(plain, 10, lambda, mixed);
      expect(Buffer.from(asked.data).equals(mixed)).toBe(true);
      const most = chunk * side * side * 3;
      const starts = Array.from({ length: Math.ceil(10 / chunk) }, (_, at) => at * most);
      expect(chunks.map(({ digest }) => digest)).toEqual(
        starts.map((at) => sha256(mixed.subarray(at, at + most))),
      );
    }
    expect(questions[3]!.views).toBe(questions[0]!.views);
    expect(questions[2]!.views).toBe(questions[1]!.views);
    expect(questions[0]!.views === views).toBe(training === "same");
    expect(views.data.buffer.byteLength).toBe((training === "same" ? 1 : 2) * 10 * BYTES + 10 * 24 * 24 * 3);
    const { views: central, teacherViews } = await pool.evaluation("train", 0, 2);
    expect(teacherViews.map(({ shape }) => shape[1])).toEqual([16, 24, 24, 16]);
    expect(teacherViews[3]).toBe(central);
  },
);

test("evaluation views are there at the teacher's resolution, too", async () => {
  const pool = await pooled({ centralSide: 16, teachers: [{ resolution: 24, training: "none" }] });
  expect((await pool.train(1)).questions).toEqual([]);
  const { views, teacherViews } = await pool.evaluation("train", 7, 2);
  const expected = new Uint8Array(2 * 24 * 24 * 3);
  for (const place of [0, 1])
    writeCentralView(await pool.sources.train!.read(7 + place), 24, expected, place * 24 * 24 * 3, 24);
  expect(views.shape).toEqual([2, 16, 16, 3]);
  expect([...teacherViews[0]!.data]).toEqual([...expected]);
});

test("a batch and its teacher's views are the same with one, two and three threads, and released as one", async () => {
  const made = [];
  for (const workers of [1, 2, 3]) {
    const pool = await pooled({ workers, teachers: [{ resolution: 16, training: "independent" }] });
    const batches = await Promise.all([4, 3, 2, 1].map((step) => pool.train(step)));
    made.push(batches.map(({ views, questions }) => [views.digest, questions[0]?.views.digest]));
    for (const batch of batches) pool.release(batch);
    const next = await pool.train(5);
    expect(batches.map(({ views }) => views.data.buffer)).toContain(next.views.data.buffer);
    expect(next.questions[0]!.views.data.buffer).toBe(next.views.data.buffer);
  }
  expect(made[1]).toEqual(made[0]);
  expect(made[2]).toEqual(made[0]);
});

test("of an ensemble, view v is crop v % n of image v / n, however the views are cut into requests", async () => {
  const pool = await pooled({});
  const view: FixedView = { kind: "ic", ensemble: 5, resolution: 16, seed: 5 };
  const whole = await pool.fixed(view, 0, 15);
  expect([...whole.indices]).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
  const seventh = new Uint8Array(BYTES);
  const image = await pool.sources.train!.read(1);
  writeView("ic", image, draws(5, "ensemble view", 1, 2), 16, seventh, 0);
  expect([...whole.views.data.subarray(7 * BYTES, 8 * BYTES)]).toEqual([...seventh]);
  const part = await pool.fixed(view, 3, 8);
  expect(part.views.digest).toBe(sha256(whole.views.data.subarray(3 * BYTES, 11 * BYTES)));
  expect(
    new Set(
      Array.from({ length: 15 }, (_, v) => sha256(whole.views.data.subarray(v * BYTES, (v + 1) * BYTES))),
    ).size,
  ).toBe(15);
});

test("whatever changes a fixed view's bytes changes its name", () => {
  const ic: FixedView = { kind: "ic", ensemble: 5, resolution: 16, seed: 5 };
  const cc: FixedView = { kind: "cc", ensemble: 1, resolution: 16, seed: 5 };
  const names = [
    ic,
    { ...ic, ensemble: 6 },
    { ...ic, resolution: 32 },
    { ...ic, seed: 6 },
    { ...ic, crop: { area: [0.5, 1] as [number, number] } },
    { ...ic, crop: { aspect: [0.5, 1] as [number, number] } },
    cc,
    { ...cc, centralSide: 18 },
    { ...cc, resolution: 18 },
    { ...cc, kind: "rs" as const },
  ].map(nameOfView);
  expect(new Set(names).size).toBe(names.length);
});
