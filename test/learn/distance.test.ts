import { loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import {
  agreement,
  distanceOf,
  euclideanDistance,
  hardDistance,
  klDistance,
  l2Distance,
  labelLoss,
  logSoftmaxDistance,
} from "../../student-trainer/learn/distance.ts";

beforeAll(async () => {
  await loadEngine();
});

const student = () =>
  tf.tensor2d([
    [2, 0, -1],
    [1, 1, 1],
  ]);
const teacher = () =>
  tf.tensor2d([
    [0, 3, 0],
    [1, 1, 1],
  ]);
const values = (t: tf.Tensor) => [...t.dataSync()];

function softmax(logits: number[], t: number): number[] {
  const powers = logits.map((x) => Math.exp(x / t));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((p) => p / sum);
}

describe("kl", () => {
  test.each([1, 2, 10])("is the divergence at temperature %d, times its square", (t) => {
    const [p, q] = [softmax([0, 3, 0], t), softmax([2, 0, -1], t)];
    const exact = t * t * p.reduce((sum, x, i) => sum + x * Math.log(x / q[i]!), 0);
    const [first, same] = values(klDistance(student(), teacher(), t));
    expect(first).toBeCloseTo(exact, 4);
    expect(same).toBeCloseTo(0, 4);
  });

  test("its gradient is t (softmax(S/t) - softmax(T/t))", () => {
    const t = 3;
    const gradient = tf.grad((s) => tf.sum(klDistance(s as tf.Tensor2D, teacher(), t)))(student());
    const exact = softmax([2, 0, -1], t).map((q, i) => t * (q - softmax([0, 3, 0], t)[i]!));
    values(gradient)
      .slice(0, 3)
      .forEach((g, i) => {
        expect(g).toBeCloseTo(exact[i]!, 5);
      });
  });

  test("a teacher as certain as can be gives no infinity", () => {
    const certain = tf.tensor2d([[1000, 0, 0]]);
    expect(values(klDistance(tf.tensor2d([[0, 0, 0]]), certain, 1))[0]).toBeCloseTo(Math.log(3), 5);
  });
});

test("labels: cross-entropy less the labels' entropy, also mixed", () => {
  const labels = tf.tensor2d([[0.7, 0.3, 0]]);
  const q = softmax([2, 0, -1], 1);
  const exact = 0.7 * Math.log(0.7 / q[0]!) + 0.3 * Math.log(0.3 / q[1]!);
  expect(values(labelLoss(tf.tensor2d([[2, 0, -1]]), labels))[0]).toBeCloseTo(exact, 5);
});

test("distances of logits and of log-probabilities", () => {
  expect(values(l2Distance(student(), teacher()))[0]).toBeCloseTo(14, 5);
  expect(values(euclideanDistance(student(), teacher()))[0]).toBeCloseTo(Math.sqrt(14), 5);
  const shifted = tf.add(teacher(), 5) as tf.Tensor2D;
  expect(values(logSoftmaxDistance(shifted, teacher()))[0]).toBeLessThan(1e-5);
});

test("hard: the teacher's first choice as label, smoothed over the others", () => {
  const q = softmax([2, 0, -1], 1).map(Math.log);
  expect(values(hardDistance(student(), teacher(), 0))[0]).toBeCloseTo(-q[1]!, 5);
  const entropy = 0.8 * Math.log(0.8) + 2 * 0.1 * Math.log(0.1);
  const exact = entropy - 0.8 * q[1]! - 0.1 * (q[0]! + q[2]!);
  expect(values(hardDistance(student(), teacher(), 0.2))[0]).toBeCloseTo(exact, 5);
});

test("a config chooses a distance by its name", () => {
  const of = (config: Parameters<typeof distanceOf>[0]) => values(distanceOf(config)(student(), teacher()));
  expect(of({ kind: "kl", temperature: 3 })).toEqual(values(klDistance(student(), teacher(), 3)));
  expect(of({ kind: "hard", smoothing: 0.2 })).toEqual(values(hardDistance(student(), teacher(), 0.2)));
  expect(of({ kind: "euclidean" })).toEqual(values(euclideanDistance(student(), teacher())));
  expect(of({ kind: "l2" })).toEqual(values(l2Distance(student(), teacher())));
  expect(of({ kind: "logsoftmax_euclidean" })).toEqual(values(logSoftmaxDistance(student(), teacher())));
});

test("agreement: the teacher's first among the student's first k", () => {
  expect(values(agreement(student(), teacher(), 1))).toEqual([0, 1]);
  expect(values(agreement(student(), teacher(), 2))).toEqual([1, 1]);
});
