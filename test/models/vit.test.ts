import { captureStep, loadEngine } from "@funmatch/engine";
import { type NpyArray, parameterCount, readNpz, type ViTConfig, vit, vitVariant } from "@funmatch/models";
import { draws } from "@funmatch/views";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { layerNorm } from "../../shared/models/layer-norm.ts";
import { expectClose, numbers } from "../engine/both-ways.ts";
import { seededWeights, tensorsOf } from "./seeded-weights.ts";

/** Made by vit_golden.py. */
let golden: Map<string, NpyArray>;

beforeAll(async () => {
  await loadEngine();
  golden = await readNpz(new URL("golden/vit.npz", import.meta.url).pathname);
});

const MODELS: Record<string, ViTConfig> = {
  learn_gap: {
    ...{ width: 48, depth: 2, mlp: 96, heads: 3, patch: 8 },
    ...{ positions: "learn", pool: "gap", image: [32, 24], classes: 7 },
  },
  sincos_map: {
    ...{ width: 32, depth: 3, mlp: 128, heads: 4, patch: 4 },
    ...{ positions: "sincos2d", pool: "map", image: [14, 20], classes: 7 },
  },
  learn_tok: {
    ...{ width: 64, depth: 2, mlp: 64, heads: 2, patch: 16 },
    ...{ positions: "learn", pool: "tok", image: [48, 48], classes: 7 },
  },
};

function pictures({ image }: ViTConfig): tf.Tensor4D {
  return tf.tensor4d(numbers(99, 2 * image[0] * image[1] * 3), [2, image[0], image[1], 3]);
}

describe.each(Object.entries(MODELS))("%s", (name, config) => {
  const weights = seededWeights(vit.shapes(config));

  test("features and logits equal a forward pass in float64 by numpy", () => {
    const out = vit.apply(config)(tensorsOf(weights), pictures(config), { training: false });
    const wanted = (what: string) => [...golden.get(`${name}/${what}`)!.data].map(Number);
    expectClose({ features: out.preLogits.dataSync() }, { features: wanted("pre_logits") }, 1e-5);
    expectClose({ logits: out.logits.dataSync() }, { logits: wanted("logits") }, 1e-5);
  });

  test("captured, loss and every gradient are what they are eagerly", () => {
    const names = Object.keys(weights);
    const forward = vit.apply(config);
    const pass = (x: tf.Tensor, params: Record<string, tf.Tensor>) => {
      const loss = (...values: tf.Tensor[]) => {
        const given = Object.fromEntries(names.map((name, i) => [name, values[i]!]));
        return tf.sum(tf.square(forward(given, x as tf.Tensor4D, { training: true }).logits)) as tf.Scalar;
      };
      const { value, grads } = tf.valueAndGrads(loss)(names.map((name) => params[name]!));
      // What is added to every key shifts all scores of a query alike, so its gradient is rounding errors alone.
      const telling = names
        .map((name, i) => [name, grads[i]!] as const)
        .filter(([name]) => !/key\/bias/.test(name));
      return { loss: value, ...Object.fromEntries(telling) } as Record<string, tf.Tensor>;
    };
    const x = pictures(config);
    const step = captureStep({
      inputs: { x: { shape: x.shape, dtype: "float32" } },
      state: weights,
      fn: (inputs, state) => ({ outputs: pass(inputs.x!, state) }),
    });
    const got = step.run({ x: x.dataSync() as Float32Array });
    step.dispose();
    const eager = pass(x, tensorsOf(weights));
    expectClose(got, Object.fromEntries(Object.entries(eager).map(([n, t]) => [n, t.dataSync()])), 1e-4);
  });

  test("the loss moves along its gradient as the gradient says", () => {
    const forward = vit.apply(config);
    const x = pictures(config);
    const params = tensorsOf(weights);
    const lossOf = (given: Record<string, tf.Tensor>) =>
      tf.mean(tf.square(forward(given, x, { training: true }).logits)) as tf.Scalar;
    const names = Object.keys(params);
    const { grads } = tf.valueAndGrads((...values: tf.Tensor[]) =>
      lossOf(Object.fromEntries(names.map((name, i) => [name, values[i]!]))),
    )(names.map((name) => params[name]!));
    const squared = tf.addN(grads.map((gradient) => tf.sum(tf.square(gradient)))).dataSync()[0]!;
    const h = 2e-3 / Math.sqrt(squared);
    const moved = (by: number) =>
      lossOf(
        Object.fromEntries(names.map((name, i) => [name, tf.add(params[name]!, tf.mul(grads[i]!, by))])),
      ).dataSync()[0]!;
    expect(Math.abs((moved(h) - moved(-h)) / (2 * h) / squared - 1)).toBeLessThan(5e-3);
  });
});

test("LayerNorm's gradients equal the definition differentiated by tfjs", () => {
  const x = tf.randomNormal([3, 5, 16], 2, 3, "float32", 1) as tf.Tensor3D;
  const scale = tf.randomNormal([16], 0.5, 1, "float32", 2);
  const bias = tf.randomNormal([16], 0.5, 1, "float32", 3);
  const weight = tf.randomNormal([3, 5, 16], 0, 1, "float32", 4);
  type Norm = (x: tf.Tensor, scale: tf.Tensor, bias: tf.Tensor) => tf.Tensor;
  const definition: Norm = (x, scale, bias) => {
    const { mean, variance } = tf.moments(x, -1, true);
    return tf.add(tf.mul(tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, 1e-6))), scale), bias);
  };
  const gradients = (norm: Norm) =>
    Object.fromEntries(
      tf
        .grads((x, scale, bias) => tf.sum(tf.mul(weight, norm(x!, scale!, bias!))))([x, scale, bias])
        .map((gradient, i) => [String(i), gradient.dataSync()]),
    );
  expectClose(gradients(layerNorm), gradients(definition), 3e-6);
});

test.each([
  ["Ti", 5_717_416],
  ["S", 22_050_664],
  ["B", 86_567_656],
] as const)("ViT-%s/16 with a class token has the customary number of parameters", (variant, count) => {
  const config = { ...vitVariant(variant), patch: 16, image: [224, 224] as [number, number], classes: 1000 };
  const shapes = vit.shapes({ ...config, positions: "learn", pool: "tok" });
  const sizes = Object.values(shapes).map((shape) => shape.reduce((product, d) => product * d, 1));
  // The published models add a trained position to the class token too; big_vision's have folded it into the token.
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(count - config.width);
});

test("a fresh model answers zero, and repeats for the same numbers", () => {
  const config = MODELS.sincos_map!;
  const init = () => vit.init(config, (name, count) => numbers(name.length, count));
  expect(init()).toEqual(init());
  const { logits } = vit.apply(config)(tensorsOf(init()), pictures(config), { training: true });
  expect([...logits.dataSync()]).toEqual(new Array(14).fill(0));
  expect(parameterCount(init())).toBe(52_647);
});

test.each([
  ["embedding/kernel", (2 * Math.sqrt(1 / 48)) / 0.8796],
  ["Transformer/encoderblock_0/MultiHeadDotProductAttention_0/out/kernel", Math.sqrt(6 / 64)],
  ["Transformer/encoderblock_0/MlpBlock_0/Dense_1/kernel", Math.sqrt(6 / 160)],
  ["MAPHead_0/probe", Math.sqrt(6 / 33)],
])("a fresh %s fills big_vision's range", (name, limit) => {
  const stream = draws(1, "init");
  const normal = (_: string, count: number) => Float32Array.from({ length: count }, () => stream.normal());
  const largest = vit
    .init(MODELS.sincos_map!, normal)
    [name]!.values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  expect(largest).toBeLessThanOrEqual(limit * (1 + 1e-4));
  expect(largest).toBeGreaterThan(0.9 * limit);
});

test("what cannot be is refused in words", () => {
  const config = MODELS.learn_gap!;
  expect(() => vit.shapes({ ...config, heads: 5 })).toThrow("5 heads do not divide a width of 48");
  expect(() => vit.shapes({ ...config, patch: 64 })).toThrow("a patch of 64 pixels does not fit");
  const params = tensorsOf(seededWeights(vit.shapes(config)));
  expect(() => vit.apply(config)(params, tf.zeros([1, 48, 48, 3]), { training: false })).toThrow(
    "takes images of 32×24, not 48×48",
  );
});
