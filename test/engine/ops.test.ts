import { loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { captured, eager, expectClose } from "./both-ways.ts";
import { given, type T } from "./given-tensors.ts";
import { arrayOps } from "./ops-of-arrays.ts";
import { imageOps } from "./ops-of-images.ts";

beforeAll(async () => {
  await loadEngine();
});

/** Elementwise functions of one tensor, on x; those that need it, on a positive tensor. */
const unary = [
  ..."abs acos asin atan ceil cos cosh elu erf exp expm1 floor isFinite isInf isNaN leakyRelu logSigmoid neg relu relu6 round selu".split(
    " ",
  ),
  ..."sigmoid sign sin sinh softplus sqrt square step tan tanh asinh atanh zerosLike onesLike".split(" "),
];
const positive = "acosh log log1p reciprocal rsqrt sqrt".split(" ");
const binary =
  "add sub mul div divNoNan floorDiv maximum minimum mod squaredDifference atan2 equal greater greaterEqual less lessEqual notEqual prelu".split(
    " ",
  );
const reductions = "sum mean max min prod argMax argMin logSumExp cumsum cumprod softmax logSoftmax".split(
  " ",
);

const call = (name: string, ...args: unknown[]): tf.Tensor =>
  (tf as unknown as Record<string, (...a: unknown[]) => tf.Tensor>)[name]!(...args);

const others = { ...imageOps, ...arrayOps };

function check(fn: (t: T) => tf.Tensor | tf.Tensor[]): void {
  const named = (inputs: Record<string, tf.Tensor>): Record<string, tf.Tensor> => {
    const results = [fn(inputs as T)].flat();
    return Object.fromEntries(results.map((result, i) => [`${i}`, result]));
  };
  expectClose(captured(given, named), eager(given, named));
}

describe("captured equals eager:", () => {
  test.each(unary)("%s", (name) => check((t) => call(name, t.x)));
  test.each(positive)("%s of positive numbers", (name) => {
    const shift = name === "acosh" ? 1 : 0;
    check((t) => call(name, tf.add(t.positive, shift)));
  });
  test.each(binary)("%s", (name) => check((t) => call(name, t.x, t.y)));
  test.each(reductions)("%s", (name) => check((t) => call(name, t.x, 1)));
  test.each(Object.entries(others))("%s", (_, fn) => check(fn));
});

test("these, and the few in refusals.test.ts, are all kernels of the backend", async () => {
  const ran = new Set<string>();
  const note = async (fn: (t: T) => unknown): Promise<void> => {
    const inputs = Object.entries(given).map(([name, { shape, dtype, values }]) => [
      name,
      tf.tensor(values, [...shape], dtype === "uint8" ? "float32" : dtype),
    ]);
    const { kernelNames } = await tf.profile(() => tf.tidy(() => void fn(Object.fromEntries(inputs))));
    for (const name of kernelNames) ran.add(name);
    for (const [, tensor] of inputs) (tensor as tf.Tensor).dispose();
  };
  for (const name of unary) await note((t) => call(name, t.x));
  for (const name of positive) await note((t) => call(name, tf.add(t.positive, 1)));
  for (const name of binary) await note((t) => call(name, t.x, t.y));
  for (const name of reductions) await note((t) => call(name, t.x, 1));
  for (const fn of Object.values(others)) await note(fn);
  const kernels = tf.getKernelsForBackend("tensorflow").map((kernel) => kernel.kernelName);
  const all = kernels.filter((name) => !name.startsWith("Funmatch")); // each of those has a test file of its own
  const elsewhere = [
    "Multinomial",
    "NonMaxSuppressionV3",
    "NonMaxSuppressionV4",
    "NonMaxSuppressionV5",
    "Unique",
  ];
  expect(all.filter((name) => !ran.has(name)).sort()).toEqual(elsewhere);
});
