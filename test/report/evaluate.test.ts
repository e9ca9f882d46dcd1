import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readNpz } from "@funmatch/models";
import { expect, test } from "vitest";
import { evaluate, relabelled } from "../../student-trainer/report/evaluate.ts";
import { ensembleFigures, teacherFigures } from "../../student-trainer/report/figures.ts";
import { writePredictions } from "../../student-trainer/report/predictions.ts";
import type { Answer, Call, SentViews, Teacher } from "../../student-trainer/teach/client.ts";
import { ensembleLogits } from "../../student-trainer/teach/ensemble.ts";
import { someEvaluation } from "../teach/batches.ts";
import { smallLogits } from "../teach/small-teacher.ts";

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
  source: { size: 22 },
  batch: 8,
  classes: 5,
  teachers: [],
};

/** A student that answers as the teacher does; its features are its logits and their double. */
async function forward(images: Uint8Array) {
  const logits = smallLogits(new Uint8Array(images), 8, 5);
  const features = new Float32Array(80).map((_, i) => {
    const [row, c] = [Math.floor(i / 10), i % 10];
    return logits[row * 5 + (c % 5)]! * (c < 5 ? 1 : 2);
  });
  return { logits, features };
}

test("a split that no batch size divides is evaluated whole, in data order", async () => {
  const { views } = await someEvaluation(0, 22);
  const expected = smallLogits(new Uint8Array(views.data), 22, 5);
  const sizes: number[] = [];
  const calls: { shape: SentViews["shape"]; call: Call }[] = [];
  const found = await evaluate({
    ...split,
    forward: (images) => {
      sizes.push(images.length / 48);
      return forward(images);
    },
    teachers: [cachingTeacher(calls)],
    cka: true,
  });
  expect(sizes).toEqual([8, 8, 8]); // the last one filled up
  expect(found.student).toEqual(expected);
  expect(found.teacher?.logits).toEqual(expected);
  expect([...found.labels]).toEqual(Array.from({ length: 22 }, (_, i) => i % 5));
  expect(found).toMatchObject({ teacher: { agreement: 1 }, cacheHits: 4, cacheMisses: 4 });
  expect(found.teacher?.kl).toBeCloseTo(0, 6);
  expect(found.teacher?.euclidean).toBeCloseTo(0, 5);
  expect(found.teacher?.cka).toBeCloseTo(1, 6); // features are the logits twice, the second time scaled
  expect(found.accuracy).toBe(found.teacher?.accuracy);
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
  const pool = {
    ...split.pool,
    evaluation: async (_split: string, start: number, count: number) => {
      const batch = await someEvaluation(start, count);
      return { ...batch, teacherViews: [batch.views, batch.views] };
    },
  };
  const found = await evaluate({ ...split, pool, forward, teachers: [one!, other!], cka: true });
  expect(found.teachers[0]).toMatchObject({ logits: found.student, agreement: 1, accuracy: found.accuracy });
  expect(found.teachers[0]!.kl).toBeCloseTo(0, 6);
  expect(found.teachers[0]!.cka).toBeCloseTo(1, 6);
  expect(found.teachers[1]).toMatchObject(teacherFigures(found.student, found.teachers[1]!.logits, 5));
  const ensemble = ensembleLogits([found.student, found.teachers[1]!.logits], 5);
  expect(found.teacher).toMatchObject(ensembleFigures(found.student, ensemble, 5));

  const run = await mkdtemp(join(tmpdir(), "predictions-"));
  await writePredictions(run, "test", found);
  const arrays = await readNpz(join(run, "predictions-test.npz"));
  expect([...arrays.keys()]).toEqual(["student", "teacher", "teacher_0", "teacher_1", "labels"]);
  const probabilities = [...(arrays.get("teacher")!.data as Float32Array).subarray(0, 5)].map(Math.exp);
  expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 6);
});

test("without a teacher there is accuracy alone, and predictions say so", async () => {
  const logits = new Float32Array(40).map((_, i) => (i % 5 === 2 ? 1 : 0));
  const found = await evaluate({ ...split, forward: async () => ({ logits, features: logits }), cka: true });
  expect(found.accuracy).toBeCloseTo(4 / 22); // labels 2, 7, 12, 17
  expect(found).toMatchObject({ teacher: undefined, teachers: [] });

  const run = await mkdtemp(join(tmpdir(), "predictions-"));
  await writePredictions(run, "test", found);
  const arrays = await readNpz(join(run, "predictions-test.npz"));
  expect([...arrays].map(([name, { dtype, shape }]) => [name, dtype, shape])).toEqual([
    ["student", "float32", [22, 5]],
    ["labels", "int32", [22]],
  ]);
});

test("images without a right label are in no accuracy, but in agreement and predictions", async () => {
  const right = (i: number) => Int32Array.from(i < 11 ? [] : i === 21 ? [2, 0, 4] : [0, 3]);
  const logits = new Float32Array(40).map((_, i) => (i % 5 === 2 ? 1 : 0)); // "2" everywhere
  const source = { size: 22, answers: right };
  const teachers = [cachingTeacher([])];
  const found = await evaluate({
    ...{ ...split, source, teachers },
    forward: async () => ({ logits, features: logits }),
  });
  expect(found.accuracy).toBeCloseTo(1 / 11);
  expect(found.teacher?.logits).toHaveLength(110);

  const run = await mkdtemp(join(tmpdir(), "predictions-"));
  await writePredictions(run, "real", found);
  const answers = (await readNpz(join(run, "predictions-real.npz"))).get("answers")!;
  expect(answers.shape).toEqual([22, 3]);
  expect([...answers.data.subarray(30, 36)]).toEqual([-1, -1, -1, 0, 3, -1]);
  expect([...answers.data.subarray(63)]).toEqual([2, 0, 4]);
});

test("a split of the same images with other labels needs no second look", async () => {
  const teachers = [cachingTeacher([])];
  const right = (i: number) => Int32Array.from(i % 2 ? [1, 2] : []);
  const source = { size: 22, answers: right };
  const corrupt = {
    ...split.pool,
    evaluation: async (_split: string, start: number, count: number) => {
      const batch = await someEvaluation(start, count);
      return { ...batch, labels: batch.labels.map((label, i) => (start + i === 3 ? -1 : label)) };
    },
  };
  const o = { ...split, pool: corrupt, forward, teachers, cka: true };
  const plain = await evaluate(o);
  const anew = await evaluate({ ...o, source });
  expect(anew.answers.data).toHaveLength(42);
  const again = relabelled(plain, source, 5);
  expect(again).toEqual({ ...anew, cacheHits: 0, cacheMisses: 0 });
  expect(again.accuracy).not.toBe(plain.accuracy);
});
