import { loadEngine, roundToBfloat16 } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { nativeBackend } from "../../shared/engine/native.ts";
import { type Activation, activate } from "../../shared/models/activation.ts";
import {
  batchStatistics,
  normalise,
  normaliseByOwn,
  plainBatchStatistics,
  plainNormaliseByOwn,
} from "../../shared/models/batch-norm.ts";
import { inBfloat16, relativeDifference, seeded, valueAndGradients } from "./fused-and-plain.ts";

beforeAll(async () => {
  await loadEngine();
});

const ACTIVATIONS: Activation[] = ["none", "relu", "hardSwish"];
const SHAPES: [number, number, number, number][] = [
  [1, 2, 2, 1],
  [3, 5, 7, 33],
  [2, 41, 39, 16],
  [4, 3, 3, 965],
];

function own(activation: Activation) {
  return (x: tf.Tensor, scale: tf.Tensor, bias: tf.Tensor) =>
    normaliseByOwn(x as tf.Tensor4D, scale, bias, batchStatistics(x as tf.Tensor4D), activation);
}

function plain(activation: Activation) {
  return (x: tf.Tensor, scale: tf.Tensor, bias: tf.Tensor) => {
    const image = x as tf.Tensor4D;
    return activate(plainNormaliseByOwn(image, scale, bias, plainBatchStatistics(image)), activation);
  };
}

/** Spread so that every part of the activations is met. */
const givenOf = (shape: number[], offset = 0): [tf.Tensor4D, tf.Tensor, tf.Tensor] => {
  const channels = shape[3] as number;
  return [seeded(1, shape, 2, offset) as tf.Tensor4D, seeded(2, [channels], 1, 3), seeded(3, [channels], 2)];
};

describe("BatchNorm and activation in fused operations", () => {
  test("are what the network uses", async () => {
    const { kernelNames } = await tf.profile(() => own("relu")(...givenOf([1, 2, 2, 8])));
    for (const name of ["FunmatchChannelMoments", "FunmatchBatchNorm"]) expect(kernelNames).toContain(name);
  });

  describe.each(ACTIVATIONS)("%s", (activation) => {
    test.each(SHAPES)("values and gradients of [%i, %i, %i, %i] are the plain operations'", (...shape) => {
      const given = givenOf(shape);
      const got = valueAndGradients(own(activation) as never, given);
      const wanted = valueAndGradients(plain(activation) as never, given);
      for (const [i, want] of wanted.entries()) expect(relativeDifference(got[i]!, want)).toBeLessThan(5e-6);
    });

    test("inference by given statistics", () => {
      const [x, scale, bias] = givenOf([2, 5, 3, 37]);
      const statistics = { mean: seeded(4, [37]), variance: seeded(5, [37], 0.4, 0.5) };
      const y = normalise(x, scale, bias, statistics, activation);
      const { mean, variance } = statistics;
      const z = tf.batchNorm(
        x,
        mean as tf.Tensor1D,
        variance as tf.Tensor1D,
        bias as tf.Tensor1D,
        scale as tf.Tensor1D,
        1e-3,
      );
      expect(relativeDifference(y.dataSync(), activate(z, activation).dataSync())).toBeLessThan(2e-6);
    });

    test.each(SHAPES)("bfloat16 of [%i, %i, %i, %i]: float32 on the rounded input, rounded", (...shape) => {
      const [x, scale, bias] = givenOf(shape);
      const [rounded, dy] = [roundToBfloat16(x) as tf.Tensor4D, roundToBfloat16(seeded(4, shape))];
      const { binding } = nativeBackend();
      const attrs = [
        { name: "activation", type: binding.TF_ATTR_STRING, value: activation },
        { name: "epsilon", type: binding.TF_ATTR_FLOAT, value: 1e-3 },
      ];
      const moments = inBfloat16("FunmatchChannelMoments", [], [x], { inputs: [0], outputs: [], of: 2 });
      const exact = plainBatchStatistics(rounded);
      expect(relativeDifference(moments[0]!, exact.mean.dataSync())).toBeLessThan(1e-5);
      expect(relativeDifference(moments[1]!, exact.variance.dataSync())).toBeLessThan(1e-5);
      const rest = [scale, bias, exact.mean, exact.variance];
      const [y] = inBfloat16("FunmatchBatchNorm", attrs, [rounded, ...rest], {
        inputs: [0],
        outputs: [0],
        of: 1,
      });
      expect(relativeDifference(y!, plain(activation)(rounded, scale, bias).dataSync())).toBeLessThan(
        2 ** -8,
      );
      const narrow = { inputs: [0, 1], outputs: [0], of: 3 };
      const got = inBfloat16("FunmatchBatchNormGrad", attrs, [dy, rounded, ...rest], narrow);
      const wanted = tf.grads(plain(activation) as never)([rounded, scale, bias], dy);
      for (const [i, want] of wanted.entries()) {
        expect(relativeDifference(got[i]!, want.dataSync())).toBeLessThan(i === 0 ? 2 ** -8 : 2e-5);
      }
    });
  });

  test("a mean a thousand times the deviation costs no digits beyond those of the input", () => {
    const x = seeded(1, [4, 16, 16, 24], 1, 1000) as tf.Tensor4D;
    const { variance } = batchStatistics(x);
    const wanted = plainBatchStatistics(tf.sub(x, 1000)).variance; // exact: the same digits
    expect(relativeDifference(variance.dataSync(), wanted.dataSync())).toBeLessThan(1e-5);
  });

  test("the same bits each time", () => {
    const given = givenOf([5, 31, 29, 40]);
    const once = () => valueAndGradients(own("hardSwish") as never, given);
    expect(once()).toEqual(once());
  });
});
