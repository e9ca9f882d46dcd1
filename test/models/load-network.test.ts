import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadEngine } from "@funmatch/engine";
import {
  inferenceOf,
  loadNetwork,
  type NetworkConfig,
  networkOf,
  vitVariant,
  type Weights,
  writeNpz,
} from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";

beforeAll(() => loadEngine());

const SIDE = 32;
const folder = mkdtempSync(join(tmpdir(), "funmatch-networks-"));
let state = 1;
const uniform = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return (state + 0.5) / 2 ** 32;
};
/** Weights of which none is zero or one, as they are at first. */
function weightsOf(config: NetworkConfig): Weights {
  const shapes = networkOf(config).shapes();
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const length = shape.reduce((product, size) => product * size, 1);
      const low = name.endsWith("/variance") ? 0.5 : -0.3;
      return [name, { shape, values: Float32Array.from({ length }, () => low + 0.6 * uniform()) }];
    }),
  );
}

async function write(weights: Weights, prefix = ""): Promise<string> {
  const path = join(folder, `${state}.npz`);
  const arrays = Object.entries(weights).map(([name, { shape, values }]) => [
    prefix + name,
    { dtype: "float32" as const, shape, data: values },
  ]);
  await writeNpz(path, Object.fromEntries(arrays));
  return path;
}

const vit = {
  kind: "vit",
  ...vitVariant("Ti"),
  depth: 2,
  patch: 16,
  image: [SIDE, SIDE] as [number, number],
  classes: 5,
} as const;
const mobile = { kind: "mobilenetv3", momentum: 0.99, classes: 5 } as const;
const networks: NetworkConfig[] = [
  { kind: "bit", blocks: [1, 2], width: 0.5, classes: 5 },
  { ...mobile, size: "small", width: 0.25 },
  { ...mobile, size: "large", width: 1 },
  { ...mobile, size: "small", width: 1.25 },
  { ...vit, positions: "learn", pool: "tok" },
  { ...vit, positions: "sincos2d", pool: "gap" },
  { ...vit, positions: "learn", pool: "map", heads: 6 },
];

describe("a network of ours, whichever it is, is read off its weights", () => {
  test.each(networks)("%o", async (config) => {
    const weights = weightsOf(config);
    const loaded = await loadNetwork(await write(weights), SIDE);
    expect(loaded.config).toEqual(config);
    expect(loaded.weights).toEqual(weights);
  });

  test("in a checkpoint too, under params/", async () => {
    const loaded = await loadNetwork(await write(weightsOf(networks[1]!), "params/"), SIDE);
    expect(loaded.config).toEqual(networks[1]);
  });

  test("a width that is not customary gives the same channels, and so the same network", async () => {
    const config: NetworkConfig = { ...mobile, size: "small", width: 0.62 };
    const { config: found } = await loadNetwork(await write(weightsOf(config)), SIDE);
    expect(networkOf(found).shapes()).toEqual(networkOf(config).shapes());
  });

  const without = (weights: Weights, name: string): Weights =>
    Object.fromEntries(Object.entries(weights).filter(([each]) => each !== name));
  test.each<[string, () => Weights, string]>([
    [
      "a missing parameter",
      () => without(weightsOf(networks[5]!), "Transformer/encoder_norm/bias"),
      "not a whole vit model: Transformer/encoder_norm/bias is missing",
    ],
    [
      "one too many",
      () => ({ ...weightsOf(networks[1]!), extra: { shape: [1], values: Float32Array.of(1) } }),
      "not a mobilenetv3 model: it also has extra",
    ],
    [
      "positions of another resolution",
      () => weightsOf({ ...vit, positions: "learn", pool: "gap", image: [64, 64] }),
      "pos_embedding has shape [1,16,192], this vit model needs [1,4,192]",
    ],
    ["something else", () => ({ w: { shape: [1], values: Float32Array.of(1) } }), "not a BiT model"],
  ])("%s is refused", async (_what, weights, message) => {
    await expect(loadNetwork(await write(weights()), SIDE)).rejects.toThrow(message);
  });
});

describe("prepared for inference", () => {
  test.each(networks)("%o gives the same logits", (config) => {
    const weights = weightsOf(config);
    const images = tf.tensor4d(Float32Array.from({ length: 2 * SIDE * SIDE * 3 }, uniform), [
      2,
      SIDE,
      SIDE,
      3,
    ]);
    const tensors = (all: Weights) =>
      Object.fromEntries(
        Object.entries(all).map(([name, { shape, values }]) => [name, tf.tensor(values, shape)]),
      );
    const [expected, found] = tf.tidy(() => {
      const network = networkOf(config).apply();
      const { parameters, logits } = inferenceOf({ config, weights });
      return [
        network(tensors(weights), images, { training: false }).logits.arraySync().flat(),
        logits(tensors(parameters), images).arraySync().flat(),
      ];
    }) as unknown as [number[], number[]];
    const largest = Math.max(...expected.map(Math.abs));
    expect(largest).toBeGreaterThan(0);
    found.forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5 * largest);
    });
  });
});
