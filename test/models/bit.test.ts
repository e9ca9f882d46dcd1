import { captureStep, loadEngine } from "@funmatch/engine";
import { bit, bitConfigOf, initBit, loadBitWeights, readNpz, valueRange } from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { groupNormRelu } from "../../shared/models/group-norm.ts";
import { standardize } from "../../shared/models/standardized-conv.ts";

const golden = new URL("../golden/", import.meta.url).pathname;

beforeAll(async () => {
  await loadEngine();
});

/** L2 norm of the difference over the norm of the second. */
function relative(actual: tf.Tensor, expected: tf.Tensor): number {
  return tf.div(tf.norm(tf.sub(actual, expected)), tf.norm(expected)).dataSync()[0]!;
}

test("the paper's code gives the same logits", async () => {
  const weights = await loadBitWeights(`${golden}bit_params.npz`);
  const params = Object.fromEntries(
    Object.entries(weights).map(([name, { shape, values }]) => [name, tf.tensor(values, shape)]),
  );
  const arrays = await readNpz(`${golden}bit_forward.npz`, { only: (name) => /^(x|logits)$/.test(name) });
  const [x, logits] = ["x", "logits"].map((name) => arrays.get(name)!);
  const out = bit(bitConfigOf(weights))(
    params,
    tf.tensor4d(x!.data as Float32Array, x!.shape as [4, 48, 40, 3]),
  );
  expect(out.stages.map((units) => Object.keys(units))).toEqual([["unit01"], ["unit01", "unit02"]]);
  const errors = tf.abs(tf.sub(out.logits, tf.tensor(logits!.data as Float32Array, logits!.shape)));
  expect(tf.max(errors).dataSync()[0]).toBeLessThan(2e-5);
});

test("a fresh model answers zero for every class", () => {
  const config = { blocks: [1, 1], width: 0.5, classes: 4 };
  const weights = initBit(config, (_, count) => Float32Array.from({ length: count }, (_, i) => Math.sin(i)));
  const params = Object.fromEntries(
    Object.entries(weights).map(([name, { shape, values }]) => [name, tf.tensor(values, shape)]),
  );
  const { logits } = bit(config)(params, tf.ones([2, 33, 20, 3]));
  expect([...logits.dataSync()]).toEqual(new Array(8).fill(0));
});

test("GroupNorm and ReLU, value and gradients, equal the definition differentiated by tfjs", () => {
  const x = tf.randomNormal([3, 5, 4, 64], 2, 3, "float32", 1) as tf.Tensor4D;
  const [scale, bias] = [2, 3].map((seed) => tf.randomNormal([1, 1, 1, 64], 0.5, 1, "float32", seed));
  const weight = tf.randomNormal([3, 5, 4, 64], 0, 1, "float32", 4);
  const definition = (x: tf.Tensor, scale: tf.Tensor, bias: tf.Tensor) => {
    const groups = tf.reshape(x, [3, 20, 32, 2]);
    const centred = tf.sub(groups, tf.mean(groups, [1, 3], true));
    const deviation = tf.sqrt(tf.add(tf.mean(tf.square(centred), [1, 3], true), 1e-5));
    return tf.relu(tf.add(tf.mul(tf.reshape(tf.div(centred, deviation), [3, 5, 4, 64]), scale), bias));
  };
  const gradients = (f: typeof definition) =>
    tf.grads((x, scale, bias) => tf.sum(tf.mul(weight, f(x!, scale!, bias!))))([x, scale!, bias!]);
  const ours = (x: tf.Tensor, scale: tf.Tensor, bias: tf.Tensor) =>
    groupNormRelu(x as tf.Tensor4D, scale, bias);
  expect(relative(ours(x, scale!, bias!), definition(x, scale!, bias!))).toBeLessThan(1e-6);
  gradients(ours).forEach((gradient, i) => {
    expect(relative(gradient, gradients(definition)[i]!)).toBeLessThan(2e-6);
  });
});

test("GroupNorm keeps its digits where the mean is large", () => {
  const x = tf.add(tf.randomNormal([1, 8, 8, 32], 0, 1, "float32", 5), 1000) as tf.Tensor4D;
  const y = groupNormRelu(x, tf.ones([1, 1, 1, 32]), tf.fill([1, 1, 1, 32], 10));
  const deviation = tf.moments(y, [1, 2]).variance;
  // float32 itself leaves 6e-5 of a value near 1000.
  expect(tf.max(tf.abs(tf.sub(deviation, 1))).dataSync()[0]).toBeLessThan(2e-3);
});

test("standardised kernels, value and gradient, equal the definition differentiated by tfjs", () => {
  const kernel = tf.randomNormal([3, 3, 8, 6], 0.3, 0.2, "float32", 6) as tf.Tensor4D;
  const weight = tf.randomNormal([3, 3, 8, 6], 0, 1, "float32", 7);
  const definition = (w: tf.Tensor) => {
    const centred = tf.sub(w, tf.mean(w, [0, 1, 2], true));
    return tf.div(centred, tf.sqrt(tf.add(tf.mean(tf.square(centred), [0, 1, 2], true), 1e-10)));
  };
  expect(relative(standardize(kernel), definition(kernel))).toBeLessThan(1e-6);
  const gradient = (f: (w: tf.Tensor) => tf.Tensor) => tf.grad((w) => tf.sum(tf.mul(weight, f(w))))(kernel);
  expect(
    relative(
      gradient((w) => standardize(w as tf.Tensor4D)),
      gradient(definition),
    ),
  ).toBeLessThan(2e-6);
});

test("captured, pixels are scaled to the last bit as a division scales them", () => {
  const pixels = Uint8Array.from({ length: 256 * 3 }, (_, i) => i % 256);
  const step = captureStep({
    inputs: { pixels: { shape: [1, 256, 1, 3], dtype: "uint8" } },
    fn: (inputs) => ({ outputs: { x: valueRange(inputs.pixels as tf.Tensor4D, [-1, 1]) } }),
  });
  const { x } = step.run({ pixels });
  step.dispose();
  const exact = Float32Array.from(pixels, (p) => Math.fround(Math.fround(p / 255) * 2) - 1);
  expect(x).toEqual(exact);
});
