import { loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { maxPoolPastBorder, plainMaxPoolPastBorder } from "../../shared/models/max-pool.ts";
import { relativeDifference, seeded, valueAndGradients } from "./fused-and-plain.ts";

beforeAll(async () => {
  await loadEngine();
});

const own = (x: tf.Tensor) => maxPoolPastBorder(x as tf.Tensor4D);
const plain = (x: tf.Tensor) => plainMaxPoolPastBorder(x as tf.Tensor4D);

describe("max-pooling past the border in one operation", () => {
  test("is what the network uses", async () => {
    const { kernelNames } = await tf.profile(() => own(seeded(1, [1, 4, 4, 3])));
    expect(kernelNames).toContain("FunmatchMaxPool");
  });

  test.each([
    [1, 1, 1, 1],
    [1, 2, 3, 17],
    [3, 7, 8, 33],
    [2, 32, 31, 64],
  ])("values of [%i, %i, %i, %i] are the plain operations', gradients to rounding", (...shape) => {
    const given = [seeded(1, shape, 2, -3)];
    const [got, wanted] = [valueAndGradients(own, given), valueAndGradients(plain, given)];
    expect(got[0]).toEqual(wanted[0]);
    expect(relativeDifference(got[1]!, wanted[1]!)).toBeLessThan(1e-6);
  });

  test("of equal numbers the first of the window gets the gradient", () => {
    const gradient = tf
      .grad(own)(tf.ones([1, 4, 4, 1]))
      .dataSync();
    expect([...gradient]).toEqual([1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  test("NaN and minus infinity come through", () => {
    const [nan, lowest] = [Number.NaN, Number.NEGATIVE_INFINITY];
    expect([...own(tf.tensor4d([nan, 1, 2, 3], [1, 2, 2, 1])).dataSync()]).toEqual([nan]);
    expect([...own(tf.tensor4d([lowest], [1, 1, 1, 1])).dataSync()]).toEqual([lowest]);
  });
});
