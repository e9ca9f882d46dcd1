import { captureStep, loadEngine } from "@funmatch/engine";
import {
  isStatistic,
  type MobileNetV3Config,
  mobileNetV3,
  type NpyArray,
  parameterCount,
  readNpz,
} from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { batchStatistics, normaliseByOwn } from "../../shared/models/batch-norm.ts";
import { expectClose, numbers } from "../engine/both-ways.ts";
import { seededWeights, tensorsOf } from "./seeded-weights.ts";

/** Made by mobilenetv3_golden.py. */
let golden: Map<string, NpyArray>;

beforeAll(async () => {
  await loadEngine();
  golden = await readNpz(new URL("golden/mobilenetv3.npz", import.meta.url).pathname);
});

function largestDifference(actual: tf.Tensor, expected: NpyArray): number {
  const wanted = tf.tensor(expected.data as Float32Array, expected.shape);
  return tf.max(tf.abs(tf.sub(actual, wanted))).dataSync()[0]!;
}

const MODELS: [string, MobileNetV3Config["size"], number][] = [
  ["small", "small", 1],
  ["large", "large", 1],
  ["small_odd", "small", 0.75],
  ["large_wide", "large", 1.25],
];

describe.each(MODELS)("%s equals Keras's", (name, size, width) => {
  const config = { size, width, classes: 11, momentum: 0.999 };

  test("number of parameters", () => {
    const weights = seededWeights(mobileNetV3.shapes({ ...config, classes: 1000 }));
    expect(parameterCount(weights)).toBe(golden.get(`${name}/parameters`)!.data[0]);
  });

  test("logits in inference and training, and running statistics after", () => {
    const weights = seededWeights(mobileNetV3.shapes(config));
    const shape = [...(golden.get(`${name}/shape`)!.data as Int32Array)] as [number, number, number, number];
    const x = tf.tensor4d(
      numbers(
        99,
        shape.reduce((a, b) => a * b),
      ),
      shape,
    );
    const forward = mobileNetV3.apply(config);
    const params = tensorsOf(weights);
    const inference = forward(params, x, { training: false });
    expect(inference.statistics).toBeUndefined();
    expect(largestDifference(inference.logits, golden.get(`${name}/logits`)!)).toBeLessThan(1e-5);

    const training = forward(params, x, { training: true });
    expect(largestDifference(training.logits, golden.get(`${name}/training_logits`)!)).toBeLessThan(1e-4);
    expect(Object.keys(training.statistics!).sort()).toEqual(Object.keys(weights).filter(isStatistic).sort());
    const prefix = `${name}/after/`;
    const kept = [...golden.keys()].filter((key) => key.startsWith(prefix));
    expect(kept.length).toBeGreaterThan(0);
    for (const key of kept)
      expect(
        largestDifference(training.statistics![key.slice(prefix.length)]!, golden.get(key)!),
      ).toBeLessThan(1e-5);
  });
});

test("BatchNorm's gradients equal the definition differentiated by tfjs", () => {
  const x = tf.randomNormal([3, 5, 4, 6], 2, 3, "float32", 1) as tf.Tensor4D;
  const scale = tf.randomNormal([6], 0.5, 1, "float32", 2);
  const bias = tf.randomNormal([6], 0.5, 1, "float32", 3);
  const weight = tf.randomNormal([3, 5, 4, 6], 0, 1, "float32", 4);
  type Norm = (x: tf.Tensor4D, scale: tf.Tensor, bias: tf.Tensor) => tf.Tensor;
  const definition: Norm = (x, scale, bias) => {
    const { mean, variance } = tf.moments(x, [0, 1, 2]);
    return tf.add(tf.mul(tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, 1e-3))), scale), bias);
  };
  const ours: Norm = (x, scale, bias) => normaliseByOwn(x, scale, bias, batchStatistics(x), "none");
  const results = (norm: Norm) => {
    const loss = (x: tf.Tensor, scale: tf.Tensor, bias: tf.Tensor) =>
      tf.sum(tf.mul(weight, tf.square(norm(x as tf.Tensor4D, scale, bias))));
    const [byX, byScale, byBias] = tf.grads(loss)([x, scale, bias]);
    const all = { value: norm(x, scale, bias), byX: byX!, byScale: byScale!, byBias: byBias! };
    return Object.fromEntries(Object.entries(all).map(([name, tensor]) => [name, tensor.dataSync()]));
  };
  expectClose(results(ours), results(definition), 3e-6);
});

test("captured, a training pass gives what it gives eagerly: loss, gradients, statistics", () => {
  const config = { size: "small", width: 0.25, classes: 5, momentum: 0.9 } as const;
  const weights = seededWeights(mobileNetV3.shapes(config));
  const names = Object.keys(weights).filter((name) => !isStatistic(name));
  const forward = mobileNetV3.apply(config);
  const pass = (x: tf.Tensor, params: Record<string, tf.Tensor>) => {
    const statistics: Record<string, tf.Tensor> = {};
    const { value, grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
      const trained = Object.fromEntries(names.map((name, i) => [name, values[i]!]));
      const out = forward({ ...params, ...trained }, x as tf.Tensor4D, { training: true });
      for (const [name, tensor] of Object.entries(out.statistics!)) statistics[name] = tf.keep(tensor);
      return tf.sum(tf.square(out.logits)) as tf.Scalar;
    })(names.map((name) => params[name]!));
    const carried = Object.entries(statistics).map(([name, tensor]) => {
      const copy = tf.clone(tensor);
      tensor.dispose();
      return [name, copy];
    });
    const gradients = names.map((name, i) => [`by ${name}`, grads[i]!]);
    return { loss: value, ...Object.fromEntries([...carried, ...gradients]) } as Record<string, tf.Tensor>;
  };
  const x = numbers(5, 4 * 40 * 40 * 3);
  const shape = [4, 40, 40, 3];
  const step = captureStep({
    inputs: { x: { shape, dtype: "float32" } },
    state: weights,
    fn: (inputs, state) => ({ outputs: pass(inputs.x!, state) }),
  });
  const eager = pass(tf.tensor(x, shape), tensorsOf(weights));
  const wanted = Object.fromEntries(Object.entries(eager).map(([name, t]) => [name, t.dataSync()]));
  // A bias that BatchNorm takes off again, or one in front of a closed gate, has a gradient of rounding errors alone.
  const largest = (values: ArrayLike<number>) =>
    Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const got = step.run({ x });
  step.dispose();
  const telling = Object.keys(wanted).filter((name) => largest(wanted[name]!) > 1e-4);
  expect(telling.length).toBeGreaterThan(150);
  for (const name of telling) expectClose({ [name]: got[name]! }, { [name]: wanted[name]! }, 1e-3);
  expect(Object.keys(got).sort()).toEqual(Object.keys(wanted).sort());
});

test("a fresh model has seeded kernels within Glorot's bounds, and statistics of a standard normal", () => {
  const config = { size: "small", width: 0.25, classes: 3, momentum: 0.999 } as const;
  const init = mobileNetV3.init(config, (_, count) => Float32Array.from({ length: count }, normalNumber()));
  const { values, shape } = init["block03/expand/kernel"]!;
  expect(shape).toEqual([1, 1, 8, 32]);
  const limit = Math.sqrt(6 / 40);
  expect(Math.max(...values)).toBeLessThanOrEqual(limit);
  expect(Math.max(...values)).toBeGreaterThan(0.95 * limit);
  const variance = values.reduce((sum, v) => sum + v * v, 0) / values.length;
  expect(Math.abs(variance / (limit ** 2 / 3) - 1)).toBeLessThan(0.2);
  expect([...init["conv_bn/variance"]!.values]).toEqual(new Array(16).fill(1));
  expect([...init["conv_bn/mean"]!.values]).toEqual(new Array(16).fill(0));
});

/** Standard normal numbers by Box and Muller, from the seeded numbers. */
function normalNumber(): (_: unknown, i: number) => number {
  const uniform = numbers(1, 2 ** 19);
  return (_, i) =>
    Math.sqrt(-2 * Math.log((uniform[(2 * i) % 2 ** 19]! + 1) / 2 + 2 ** -25)) *
    Math.cos(Math.PI * uniform[(2 * i + 1) % 2 ** 19]!);
}
