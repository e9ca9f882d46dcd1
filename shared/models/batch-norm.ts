import * as tf from "@tensorflow/tfjs-core";
import { type Activation, activate } from "./activation.ts";
import { fused } from "./fused.ts";

/** Keras's, of every BatchNorm in MobileNetV3. */
const EPSILON = 1e-3;

/** Statistics of a batch: means and population variances of the channels, [C] each. */
export interface BatchStatistics {
  mean: tf.Tensor;
  variance: tf.Tensor;
}

/** Mean and variance of each channel over a batch: by the engine's fused operation, where it has one. */
export function batchStatistics(x: tf.Tensor4D): BatchStatistics {
  const moments = fused("FunmatchChannelMoments");
  if (!moments) return plainBatchStatistics(x);
  const [mean, variance] = moments({ x });
  return { mean: mean!, variance: variance! };
}

/** The squares are taken around the mean, so no digits are lost. */
export function plainBatchStatistics(x: tf.Tensor4D): BatchStatistics {
  const mean = tf.mean(x, [0, 1, 2]);
  return { mean, variance: tf.mean(tf.squaredDifference(x, mean), [0, 1, 2]) };
}

/**
 * BatchNorm with given statistics and what follows it: inference, which has no gradient.
 *
 * @param x [N,H,W,C]
 * @param scale [C]
 * @param bias [C]
 */
export function normalise(
  x: tf.Tensor4D,
  scale: tf.Tensor,
  bias: tf.Tensor,
  statistics: BatchStatistics,
  activation: Activation,
): tf.Tensor4D {
  const forward = fused("FunmatchBatchNorm");
  if (!forward) return activate(plainNormalise(x, scale, bias, statistics), activation);
  const [y] = forward({ x, scale, bias, ...statistics }, { activation, epsilon: EPSILON });
  return y as tf.Tensor4D;
}

function plainNormalise(
  x: tf.Tensor4D,
  scale: tf.Tensor,
  bias: tf.Tensor,
  { mean, variance }: BatchStatistics,
): tf.Tensor4D {
  const a = tf.mul(tf.rsqrt(tf.add(variance, EPSILON)), scale);
  return tf.add(tf.mul(x, a), tf.sub(bias, tf.mul(mean, a)));
}

/**
 * BatchNorm of training, by the statistics of `x` itself, and what follows it: by the engine's fused operations, where
 * it has them.
 *
 * @param statistics `batchStatistics(x)`; the gradient goes through them as through `x`
 */
export function normaliseByOwn(
  x: tf.Tensor4D,
  scale: tf.Tensor,
  bias: tf.Tensor,
  statistics: BatchStatistics,
  activation: Activation,
): tf.Tensor4D {
  const [forward, backward] = [fused("FunmatchBatchNorm"), fused("FunmatchBatchNormGrad")];
  if (!forward || !backward) return activate(plainNormaliseByOwn(x, scale, bias, statistics), activation);
  const attributes = { activation, epsilon: EPSILON };
  const own = tf.customGrad((...args) => {
    const [image, gain, offset] = args as unknown as [tf.Tensor, tf.Tensor, tf.Tensor];
    const save = args[3] as unknown as tf.GradSaveFunc;
    save([image, gain, offset, statistics.mean, statistics.variance]);
    return {
      value: forward({ x: image, scale: gain, bias: offset, ...statistics }, attributes)[0]!,
      gradFunc: (dy, saved) => {
        const [x, scale, bias, mean, variance] = saved as [
          tf.Tensor,
          tf.Tensor,
          tf.Tensor,
          tf.Tensor,
          tf.Tensor,
        ];
        return backward({ dy: dy as tf.Tensor, x, scale, bias, mean, variance }, attributes);
      },
    };
  });
  return own(x, scale, bias) as tf.Tensor4D;
}

/**
 * The norm alone in tfjs's operations, with the gradient written by hand: two sums down to [C] and one multiply-add
 * over the batch, instead of a pass for each of tfjs's operations.
 */
export function plainNormaliseByOwn(
  x: tf.Tensor4D,
  scale: tf.Tensor,
  bias: tf.Tensor,
  statistics: BatchStatistics,
): tf.Tensor4D {
  const own = tf.customGrad((...args) => {
    const [image, gain, offset] = args as unknown as [tf.Tensor4D, tf.Tensor, tf.Tensor];
    const save = args[3] as unknown as tf.GradSaveFunc;
    const { mean, variance } = statistics;
    save([image, mean, tf.rsqrt(tf.add(variance, EPSILON)), gain]);
    return {
      value: plainNormalise(image, gain, offset, statistics),
      gradFunc: (dy, saved) => gradient(dy as tf.Tensor4D, saved),
    };
  });
  return own(x, scale, bias) as tf.Tensor4D;
}

/** Gradients by x, scale and bias. */
function gradient(dy: tf.Tensor4D, saved: tf.Tensor[]): tf.Tensor[] {
  const [x, mean, inverse, gain] = saved as [tf.Tensor4D, tf.Tensor, tf.Tensor, tf.Tensor];
  const values = x.size / x.shape[3];
  const sum = tf.sum(dy, [0, 1, 2]);
  const weighted = tf.mul(tf.sum(tf.mul(dy, tf.sub(x, mean)), [0, 1, 2]), inverse);
  const a = tf.mul(inverse, gain);
  const b = tf.mul(tf.mul(a, inverse), tf.mul(weighted, -1 / values));
  const c = tf.neg(tf.add(tf.mul(a, tf.mul(sum, 1 / values)), tf.mul(mean, b)));
  return [tf.add(tf.mul(dy, a), tf.add(tf.mul(x, b), c)), weighted, sum];
}
