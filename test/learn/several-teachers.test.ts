import { captureStep, loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { distanceOf } from "../../student-trainer/learn/distance.ts";
import { distanceFromAll, type Several, sideBySide } from "../../student-trainer/learn/several-teachers.ts";
import { ensembleLogits } from "../../student-trainer/teach/ensemble.ts";

const [IMAGES, CLASSES] = [4, 5];
const logits = (seed: number) =>
  Float32Array.from({ length: IMAGES * CLASSES }, (_, i) => 3 * Math.sin(seed * 7.1 + i * i));
const [student, a, b, c] = [1, 2, 3, 4].map(logits) as [
  Float32Array,
  Float32Array,
  Float32Array,
  Float32Array,
];
const kl = { kind: "kl", temperature: 2 } as const;

beforeAll(async () => {
  await loadEngine();
});

/** Distances [N] as the captured step computes them, and their gradient by the student's logits. */
function measured(
  targets: Float32Array,
  distance: typeof kl | { kind: "kl"; temperature: 1 },
  several?: Several,
) {
  const width = targets.length / IMAGES;
  const captured = captureStep({
    inputs: {
      student: { shape: [IMAGES, CLASSES], dtype: "float32" },
      targets: { shape: [IMAGES, width], dtype: "float32" },
    },
    fn: (inputs) => {
      const measure = distanceFromAll(distanceOf(distance), several);
      const lossOf = (x: tf.Tensor) => tf.sum(measure(x as tf.Tensor2D, inputs.targets as tf.Tensor2D));
      const gradient = tf.grad(lossOf)(inputs.student as tf.Tensor2D);
      const each = measure(inputs.student as tf.Tensor2D, inputs.targets as tf.Tensor2D);
      return { outputs: { each, gradient } };
    },
  });
  return captured.run({ student, targets }) as Record<"each" | "gradient", Float32Array>;
}

function close(found: Float32Array, expected: number[]): void {
  for (const [i, value] of expected.entries()) expect(found[i]).toBeCloseTo(value, 4);
}

test("sum: the distances from each teacher are added, and so are their gradients", () => {
  const together = measured(sideBySide([a, b, c], CLASSES), kl, { teachers: 3, combine: "sum" });
  const apart = [a, b, c].map((teacher) => measured(teacher, kl));
  for (const name of ["each", "gradient"] as const)
    close(
      together[name],
      [...together[name]].map((_, i) => apart.reduce((sum, one) => sum + one[name][i]!, 0)),
    );
});

test("mean: one distance, from the mean of the probabilities", () => {
  const together = measured(sideBySide([a, b, c], CLASSES), kl, { teachers: 3, combine: "mean" });
  const ensemble = measured(ensembleLogits([a, b, c], CLASSES), kl);
  for (const name of ["each", "gradient"] as const) close(together[name], [...ensemble[name]]);
});

test("for KL at temperature 1 both have the same gradient but for the number of teachers, as big_vision notes", () => {
  const at1 = { kind: "kl", temperature: 1 } as const;
  const targets = sideBySide([a, b], CLASSES);
  const sum = measured(targets, at1, { teachers: 2, combine: "sum" });
  const mean = measured(targets, at1, { teachers: 2, combine: "mean" });
  close(
    sum.gradient,
    [...mean.gradient].map((value) => 2 * value),
  );
});

test("the mean stays finite where all teachers are certain", () => {
  const certain = Float32Array.from({ length: IMAGES * CLASSES }, (_, i) => (i % CLASSES === 0 ? 500 : -500));
  const l2 = { kind: "l2" } as unknown as typeof kl;
  const { each } = measured(sideBySide([certain, certain], CLASSES), l2, { teachers: 2, combine: "mean" });
  expect(each.every(Number.isFinite)).toBe(true);
});

test("the logits of one teacher are the targets as they are; of two, an image's stand side by side", () => {
  expect(sideBySide([a], CLASSES)).toBe(a);
  const [x, y] = [Float32Array.of(1, 2, 3, 4), Float32Array.of(5, 6, 7, 8)];
  expect([...sideBySide([x, y], 2)]).toEqual([1, 2, 5, 6, 3, 4, 7, 8]);
});
