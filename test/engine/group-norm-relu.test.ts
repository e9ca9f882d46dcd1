import { loadEngine, roundToBfloat16 } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { nativeBackend } from "../../shared/engine/native.ts";
import { groupNormRelu, plainGroupNormRelu } from "../../shared/models/group-norm.ts";
import { inBfloat16, relativeDifference, seeded, valueAndGradients } from "./fused-and-plain.ts";

beforeAll(async () => {
  await loadEngine();
});

/** [N, H, W, C]: one image of one pixel; odd sides; more pieces than one; channels that fill no vector. */
const SHAPES: [number, number, number, number][] = [
  [1, 1, 1, 128],
  [1, 7, 5, 64],
  [3, 5, 7, 96],
  [2, 33, 31, 32],
  [1, 40, 40, 64],
  [5, 3, 3, 2080],
];

const givenOf = (shape: [number, number, number, number], offset = 0) => {
  const channels = shape[3];
  return [
    seeded(1, shape, 2, offset),
    seeded(2, [1, 1, 1, channels], 1, 1),
    seeded(3, [1, 1, 1, channels], 0.5, 0.1),
  ] as [tf.Tensor4D, tf.Tensor, tf.Tensor];
};

const own = (...[x, scale, bias]: tf.Tensor[]) => groupNormRelu(x as tf.Tensor4D, scale!, bias!);
const plain = (...[x, scale, bias]: tf.Tensor[]) => plainGroupNormRelu(x as tf.Tensor4D, scale!, bias!);

describe("GroupNorm and ReLU in one operation", () => {
  test("is there, and is what the network uses", async () => {
    expect(tf.getKernel("FunmatchGroupNormRelu", "tensorflow")).toBeDefined();
    const [x, scale, bias] = givenOf([1, 2, 2, 32]);
    const { kernelNames } = await tf.profile(() => groupNormRelu(x, scale, bias));
    expect(kernelNames).toContain("FunmatchGroupNormRelu");
  });

  test.each(SHAPES)("values and gradients of [%i, %i, %i, %i] are the plain operations'", (...shape) => {
    const given = givenOf(shape);
    const [got, wanted] = [valueAndGradients(own, given), valueAndGradients(plain, given)];
    for (const [i, want] of wanted.entries()) expect(relativeDifference(got[i]!, want)).toBeLessThan(3e-6);
  });

  test("a mean a thousand times the deviation costs no digits beyond those of the input", () => {
    const shape: [number, number, number, number] = [2, 16, 16, 64];
    const [x, scale, bias] = givenOf(shape, 2000);
    const around = tf.sub(x, 2000); // exact: the same digits
    const got = tf.tidy(() => groupNormRelu(x, scale, bias).dataSync());
    const wanted = tf.tidy(() => plainGroupNormRelu(around as tf.Tensor4D, scale, bias).dataSync());
    expect(relativeDifference(got, wanted)).toBeLessThan(3e-4);
  });

  test("the same bits each time, and each image as if it were alone", () => {
    const [x, scale, bias] = givenOf([3, 21, 19, 64]);
    const all = tf.tidy(() => own(x, scale, bias).dataSync());
    expect(tf.tidy(() => own(x, scale, bias).dataSync())).toEqual(all);
    const second = tf.tidy(() => own(tf.slice(x, [1], [1]), scale, bias).dataSync());
    expect(second).toEqual(all.slice(second.length, 2 * second.length));
    const gradients = valueAndGradients(own, [x, scale, bias]);
    expect(valueAndGradients(own, [x, scale, bias])).toEqual(gradients);
  });

  test("NaN passes through, in values and gradients", () => {
    const [, scale, bias] = givenOf([1, 2, 2, 32]);
    const x = tf.fill([1, 2, 2, 32], Number.NaN) as tf.Tensor4D;
    for (const values of valueAndGradients(own, [x, scale, bias]).slice(0, 2)) {
      expect(values.every(Number.isNaN)).toBe(true);
    }
  });

  test.each(SHAPES)("bfloat16 of [%i, %i, %i, %i]: float32 on the rounded input, rounded", (...shape) => {
    const [x, scale, bias] = givenOf(shape);
    const dy = roundToBfloat16(seeded(4, shape));
    const rounded = roundToBfloat16(x) as tf.Tensor4D;
    const { binding } = nativeBackend();
    const attrs = [
      { name: "groups", type: binding.TF_ATTR_INT, value: 32 },
      { name: "epsilon", type: binding.TF_ATTR_FLOAT, value: 1e-5 },
    ];
    const forward = { inputs: [0], outputs: [0], of: 3 };
    const [y, mean, inverse] = inBfloat16("FunmatchGroupNormRelu", attrs, [x, scale, bias], forward);
    expect(relativeDifference(y!, plainGroupNormRelu(rounded, scale, bias).dataSync())).toBeLessThan(2 ** -8);

    const wanted = gradientsOf(rounded, scale, bias, dy);
    const statistics = [mean!, inverse!].map((values) => tf.tensor(values, [shape[0], 32]));
    const backward = { inputs: [0, 1], outputs: [0], of: 3 };
    const inputs = [dy, rounded, scale, bias, ...statistics];
    const got = inBfloat16("FunmatchGroupNormReluGrad", [], inputs, backward);
    for (const [i, want] of wanted.entries()) {
      expect(relativeDifference(got[i]!, want)).toBeLessThan(i === 0 ? 2 ** -8 : 1e-5);
    }
  });

  test("channels that do not divide into the groups are refused", () => {
    const [x, scale, bias] = givenOf([1, 2, 2, 33]);
    expect(() => groupNormRelu(x, scale, bias)).toThrow("the 33 channels do not divide into 32 groups");
  });
});

function gradientsOf(x: tf.Tensor, scale: tf.Tensor, bias: tf.Tensor, dy: tf.Tensor): Float32Array[] {
  return tf
    .grads((...xs: tf.Tensor[]) => plain(...xs))([x, scale, bias], dy)
    .map((g) => g.dataSync() as Float32Array);
}
