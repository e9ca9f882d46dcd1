import { loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { plainStandardize, standardize } from "../../shared/models/standardized-conv.ts";
import { relativeDifference, seeded, valueAndGradients } from "./fused-and-plain.ts";

beforeAll(async () => {
  await loadEngine();
});

const own = (kernel: tf.Tensor) => standardize(kernel as tf.Tensor4D);
const plain = (kernel: tf.Tensor) => plainStandardize(kernel as tf.Tensor4D);

describe("weight standardisation in one operation", () => {
  test("is what the network uses", async () => {
    const { kernelNames } = await tf.profile(() => own(seeded(1, [3, 3, 4, 8])));
    expect(kernelNames).toContain("FunmatchWeightStandardization");
  });

  test.each([
    [3, 3, 5, 7],
    [1, 1, 64, 32],
    [7, 7, 3, 96],
    [3, 3, 40, 33],
    [1, 1, 2048, 65],
  ])("values and gradient of [%i, %i, %i, %i] are the plain operations'", (...shape) => {
    const given = [seeded(1, shape, 0.1)];
    const [got, wanted] = [valueAndGradients(own, given), valueAndGradients(plain, given)];
    for (const [i, want] of wanted.entries()) expect(relativeDifference(got[i]!, want)).toBeLessThan(3e-6);
  });

  test("columns come out with mean 0 and variance 1, also far from zero", () => {
    const shape = [3, 3, 16, 48];
    const y = tf.reshape(own(seeded(2, shape, 1, 50)), [-1, 48]);
    const { mean, variance } = tf.moments(y, 0);
    for (const value of mean.dataSync()) expect(Math.abs(value)).toBeLessThan(1e-5);
    for (const value of variance.dataSync()) expect(Math.abs(value - 1)).toBeLessThan(1e-5);
  });

  test("a column of equal numbers becomes zeros", () => {
    expect(own(tf.fill([1, 1, 9, 3], 0.7)).dataSync()).toEqual(new Float32Array(27));
  });

  test("the same bits each time", () => {
    const given = [seeded(3, [3, 3, 64, 200])];
    expect(valueAndGradients(own, given)).toEqual(valueAndGradients(own, given));
  });
});
