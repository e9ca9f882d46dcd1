import { loadEngine, roundToBfloat16 } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { nativeBackend } from "../../shared/engine/native.ts";
import { gelu, plainGelu } from "../../shared/models/gelu.ts";
import { layerNorm, plainLayerNorm } from "../../shared/models/layer-norm.ts";
import { inBfloat16, relativeDifference, seeded, valueAndGradients } from "./fused-and-plain.ts";

beforeAll(async () => {
  await loadEngine();
});

const SHAPES = [
  [1, 7],
  [3, 65, 33],
  [2, 50, 384],
  [1001, 5],
  [2, 3, 4, 1030],
];

const givenOf = (shape: number[]) => {
  const channels = shape.at(-1)!;
  return [seeded(1, shape, 3, 1), seeded(2, [channels], 1, 1), seeded(3, [channels])] as tf.Tensor[];
};

describe("LayerNorm in one operation", () => {
  const own = (...[x, scale, bias]: tf.Tensor[]) => layerNorm(x!, scale!, bias!);
  const plain = (...[x, scale, bias]: tf.Tensor[]) => plainLayerNorm(x!, scale!, bias!);

  test("is what the network uses", async () => {
    const { kernelNames } = await tf.profile(() => own(...givenOf([2, 8])));
    expect(kernelNames).toContain("FunmatchLayerNorm");
  });

  test.each(SHAPES.map((shape) => [shape]))(
    "values and gradients of %j are the plain operations'",
    (shape) => {
      const given = givenOf(shape);
      const [got, wanted] = [valueAndGradients(own, given), valueAndGradients(plain, given)];
      for (const [i, want] of wanted.entries()) expect(relativeDifference(got[i]!, want)).toBeLessThan(5e-6);
    },
  );

  test.each(SHAPES.map((shape) => [shape]))(
    "bfloat16 of %j: float32 on the rounded input, rounded",
    (shape) => {
      const [x, scale, bias] = givenOf(shape) as [tf.Tensor, tf.Tensor, tf.Tensor];
      const [rounded, dy] = [roundToBfloat16(x), roundToBfloat16(seeded(4, shape))];
      const attrs = [{ name: "epsilon", type: nativeBackend().binding.TF_ATTR_FLOAT, value: 1e-6 }];
      const forward = { inputs: [0], outputs: [0], of: 3 };
      const [y, ...statistics] = inBfloat16("FunmatchLayerNorm", attrs, [rounded, scale, bias], forward);
      expect(relativeDifference(y!, plain(rounded, scale, bias).dataSync())).toBeLessThan(2 ** -8);
      const inputs = [dy, rounded, scale, ...statistics.map((values) => tf.tensor1d(values))];
      const got = inBfloat16("FunmatchLayerNormGrad", [], inputs, { inputs: [0, 1], outputs: [0], of: 3 });
      const wanted = tf.grads(plain)([rounded, scale, bias], dy);
      for (const [i, want] of wanted.entries()) {
        expect(relativeDifference(got[i]!, want.dataSync())).toBeLessThan(i === 0 ? 2 ** -8 : 2e-5);
      }
    },
  );

  test("the same bits each time", () => {
    const given = givenOf([333, 70]);
    expect(valueAndGradients(own, given)).toEqual(valueAndGradients(own, given));
  });
});

describe("GELU in one operation", () => {
  /** Both tails, where the gate is 0 and 1, and everything between. */
  const many = () => tf.linspace(-30, 30, 70_001);

  test("values and gradient are the plain operations'", () => {
    const got = valueAndGradients(gelu as never, [many()]);
    const wanted = valueAndGradients(plainGelu as never, [many()]);
    for (const [i, want] of wanted.entries()) {
      for (const [j, value] of want.entries())
        expect(Math.abs(got[i]![j]! - value)).toBeLessThan(5e-6 * (1 + Math.abs(value)));
    }
  });

  test("values follow the formula in float64, also where tanh in float32 has no digits left", () => {
    const x = many();
    const y = gelu(x).dataSync();
    for (const [i, value] of x.dataSync().entries()) {
      const u = Math.sqrt(2 / Math.PI) * (value + 0.044715 * value ** 3);
      const exact = value / (1 + Math.exp(-2 * u));
      expect(Math.abs(y[i]! - exact)).toBeLessThanOrEqual(1e-5 * Math.abs(exact) + 1e-30);
    }
  });

  test("infinity, NaN and zero", () => {
    const given = tf.tensor1d([Number.POSITIVE_INFINITY, Number.NaN, 0]);
    expect([...gelu(given).dataSync()]).toEqual([Number.POSITIVE_INFINITY, Number.NaN, 0]);
  });

  test("bfloat16: float32 on the rounded input, rounded", () => {
    const rounded = roundToBfloat16(seeded(1, [33, 31], 4));
    const dy = roundToBfloat16(seeded(2, [33, 31]));
    const [y] = inBfloat16("FunmatchGelu", [], [rounded], { inputs: [0], outputs: [0], of: 1 });
    expect(relativeDifference(y!, plainGelu(rounded).dataSync())).toBeLessThan(2 ** -8);
    const [dx] = inBfloat16("FunmatchGeluGrad", [], [dy, rounded], { inputs: [0, 1], outputs: [0], of: 1 });
    const wanted = tf.grad((t: tf.Tensor) => plainGelu(t))(rounded, dy);
    expect(relativeDifference(dx!, wanted.dataSync())).toBeLessThan(2 ** -8);
  });
});
