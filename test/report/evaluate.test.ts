import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readNpz } from "@funmatch/models";
import { expect, test } from "vitest";
import { evaluate } from "../../student-trainer/report/evaluate.ts";
import { choices, meanKl, shareEqual } from "../../student-trainer/report/figures.ts";
import { writePredictions } from "../../student-trainer/report/predictions.ts";
import type { Answer, Call, SentViews, Teacher } from "../../student-trainer/teach/client.ts";
import { ensembleLogits } from "../../student-trainer/teach/ensemble.ts";
import { someEvaluation } from "../teach/batches.ts";
import { smallLogits } from "../teach/small-teacher.ts";

const golden = new URL("../golden/", import.meta.url).pathname;

test("accuracy, agreement and KL of three images, worked out by hand", () => {
  const student = Float32Array.of(2, 0, /**/ 0, 0, /**/ 0, 1);
  const teacher = Float32Array.of(1, 0, /**/ 0, 3, /**/ 0, 1);
  expect([...choices(student, 2)]).toEqual([0, 0, 1]);
  expect(shareEqual(choices(student, 2), choices(teacher, 2))).toBeCloseTo(2 / 3);
  const kl = (t: number, s: number) => {
    const [p, q] = [1 / (1 + Math.exp(-t)), 1 / (1 + Math.exp(-s))];
    return p * Math.log(p / q) + (1 - p) * Math.log((1 - p) / (1 - q));
  };
  expect(meanKl(student, teacher, 2)).toBeCloseTo((kl(1, 2) + kl(-3, 0) + kl(-1, -1)) / 3, 7);
});

test("KL and agreement are the paper's", async () => {
  const vectors = await readNpz(join(golden, "distances.npz"));
  const of = (name: string) => vectors.get(name)?.data as Float32Array;
  const [student, teacher] = [of("student"), of("teacher")];
  const mean = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b) / values.length;
  const named = [...vectors.keys()];
  const kl = named.find((name) => /^kl.*=1(\.0)?$/.test(name)) ?? "";
  const agree = named.find((name) => /^agree.*=1$/.test(name)) ?? "";
  expect(meanKl(student, teacher, 13) / mean(of(kl))).toBeCloseTo(1, 5);
  expect(shareEqual(choices(student, 13), choices(teacher, 13))).toBeCloseTo(mean(of(agree)), 6);
});

/** A teacher whose gateway has seen every second piece before. */
function cachingTeacher(calls: { shape: SentViews["shape"]; call: Call }[]): Teacher {
  const ask = async (views: SentViews, call: Call): Promise<Answer> => {
    calls.push({ shape: views.shape, call });
    const logits = smallLogits(new Uint8Array(views.data), views.shape[0], 5);
    return { logits, version: "v", cache: calls.length % 2 ? "miss" : "hit" };
  };
  const limits = { maxImages: 3, maxBodyBytes: 1 << 20, timeoutMs: 1000 };
  const card = { classes: 5 } as Teacher["card"];
  return { url: "", card, limits, echoesDigest: true, ask, close: async () => {} };
}

const split = {
  pool: {
    evaluation: (_split: string, start: number, count: number) => someEvaluation(start, count),
    release: () => {},
  },
  split: "test",
  size: 22,
  batch: 8,
  classes: 5,
};

test("a split that no batch size divides is evaluated whole, in data order", async () => {
  const { views } = await someEvaluation(0, 22);
  const expected = smallLogits(new Uint8Array(views.data), 22, 5);
  const sizes: number[] = [];
  const forward = async (images: Uint8Array) => {
    sizes.push(images.length / 48);
    return smallLogits(new Uint8Array(images), 8, 5);
  };
  const calls: { shape: SentViews["shape"]; call: Call }[] = [];
  const found = await evaluate({ ...split, forward, teachers: [cachingTeacher(calls)] });
  expect(sizes).toEqual([8, 8, 8]); // the last one filled up
  expect(found.student).toEqual(expected);
  expect(found.teacher).toEqual(expected);
  expect([...found.labels]).toEqual(Array.from({ length: 22 }, (_, i) => i % 5));
  expect(found).toMatchObject({ agreement: 1, cacheHits: 4, cacheMisses: 4 });
  expect(found.kl).toBeCloseTo(0, 6);
  expect(found.accuracy).toBe(found.teacherAccuracy);
  expect(calls.map(({ shape }) => shape[0]).sort()).toEqual([2, 2, 3, 3, 3, 3, 3, 3]);
  expect(calls.every(({ call }) => call.purpose === "eval" && !call.noStore)).toBe(true);
});

test("of two teachers each has its figures, and what counts is the mean of their probabilities", async () => {
  const [one, other] = [0, 1].map((turn): Teacher => {
    const ask = async (views: SentViews): Promise<Answer> => {
      const logits = smallLogits(new Uint8Array(views.data), views.shape[0], 5);
      const turned = logits.map((_, i) => logits[Math.floor(i / 5) * 5 + ((i + turn) % 5)]!);
      return { logits: turned, version: "v", cache: "none" };
    };
    return { ...cachingTeacher([]), ask };
  });
  const forward = async (images: Uint8Array) => smallLogits(new Uint8Array(images), 8, 5);
  const pool = {
    ...split.pool,
    evaluation: async (_split: string, start: number, count: number) => {
      const batch = await someEvaluation(start, count);
      return { ...batch, teacherViews: [batch.views, batch.views] };
    },
  };
  const found = await evaluate({ ...split, pool, forward, teachers: [one!, other!] });
  expect(found.teachers![0]).toMatchObject({ logits: found.student, agreement: 1, accuracy: found.accuracy });
  expect(found.teachers![0]!.kl).toBeCloseTo(0, 6);
  const logits = found.teachers![1]!.logits;
  expect(found.teachers![1]!.kl).toBe(meanKl(found.student, logits, 5));
  expect(found.kl).toBe(meanKl(found.student, ensembleLogits([found.student, logits], 5), 5));
  const run = await mkdtemp(join(tmpdir(), "predictions-"));
  await writePredictions(run, "test", found);
  const arrays = await readNpz(join(run, "predictions-test.npz"));
  expect([...arrays.keys()]).toEqual(["student", "teacher", "teacher_0", "teacher_1", "labels"]);
  const probabilities = [...(arrays.get("teacher")!.data as Float32Array).subarray(0, 5)].map(Math.exp);
  expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 6);
});

test("without a teacher there is accuracy alone, and predictions say so", async () => {
  const forward = async () => new Float32Array(40).map((_, i) => (i % 5 === 2 ? 1 : 0));
  const found = await evaluate({ ...split, forward });
  expect(found.accuracy).toBeCloseTo(4 / 22); // labels 2, 7, 12, 17
  expect(found).not.toHaveProperty("agreement");

  const run = await mkdtemp(join(tmpdir(), "predictions-"));
  await writePredictions(run, "test", found);
  const arrays = await readNpz(join(run, "predictions-test.npz"));
  expect([...arrays.keys()]).toEqual(["student", "labels"]);
  await writePredictions(run, "test", { ...found, teacher: found.student });
  const both = await readNpz(join(run, "predictions-test.npz"));
  expect([...both].map(([name, { dtype, shape }]) => [name, dtype, shape])).toEqual([
    ["student", "float32", [22, 5]],
    ["teacher", "float32", [22, 5]],
    ["labels", "int32", [22]],
  ]);
});
