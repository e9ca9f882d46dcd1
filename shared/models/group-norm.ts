import * as tf from "@tensorflow/tfjs-core";
import { GROUPS } from "./bit-config.ts";
import { fused } from "./fused.ts";

const EPSILON = 1e-5;

/**
 * GroupNorm with 32 groups, then ReLU: by the engine's fused operation, where it has one.
 *
 * @param x [N,H,W,C], C a multiple of 32
 * @param scale [1,1,1,C]
 * @param bias [1,1,1,C]
 */
export function groupNormRelu(x: tf.Tensor4D, scale: tf.Tensor, bias: tf.Tensor): tf.Tensor4D {
  const [forward, backward] = [fused("FunmatchGroupNormRelu"), fused("FunmatchGroupNormReluGrad")];
  if (!forward || !backward) return plainGroupNormRelu(x, scale, bias);
  const normalise = tf.customGrad((...args) => {
    const [image, gain, offset] = args as unknown as tf.Tensor[] as [tf.Tensor, tf.Tensor, tf.Tensor];
    const save = args[3] as unknown as tf.GradSaveFunc;
    const attributes = { groups: GROUPS, epsilon: EPSILON };
    const [value, mean, inverse] = forward({ x: image, scale: gain, bias: offset }, attributes);
    save([image, gain, offset, mean!, inverse!]);
    return {
      value: value!,
      gradFunc: (dy, saved) => {
        const [x, scale, bias, mean, inverse] = saved as [
          tf.Tensor,
          tf.Tensor,
          tf.Tensor,
          tf.Tensor,
          tf.Tensor,
        ];
        return backward({ dy: dy as tf.Tensor, x, scale, bias, mean, inverse });
      },
    };
  });
  return normalise(x, scale, bias) as tf.Tensor4D;
}

/**
 * The same in tfjs's operations, with a gradient written by hand.
 *
 * Mean and variance are of each image's group. Because both, and the affine part, are constant over height and width,
 * everything large happens in a few passes over [N,H,W,C]: two sums down to [N,C], and one multiply-add; the rest is
 * arithmetic on [N,C]. The same holds for the gradient.
 */
export function plainGroupNormRelu(x: tf.Tensor4D, scale: tf.Tensor, bias: tf.Tensor): tf.Tensor4D {
  const normalise = tf.customGrad((...args) => {
    const [image, gain, offset] = args as unknown as [tf.Tensor4D, tf.Tensor, tf.Tensor];
    const save = args[3] as unknown as tf.GradSaveFunc;
    const gains = tf.reshape(gain, [1, -1]);
    const mean = overGroups(tf.mean(image, [1, 2]));
    // The squares are taken around the mean: E[x²] - E[x]² would lose what a large mean leaves of the digits.
    const variance = overGroups(tf.mean(tf.squaredDifference(image, spatial(mean)), [1, 2]));
    const inverse = tf.rsqrt(tf.add(variance, EPSILON));
    const a = tf.mul<tf.Tensor2D>(inverse, gains);
    const b = tf.sub<tf.Tensor2D>(tf.reshape(offset, [1, -1]), tf.mul(mean, a));
    const value = tf.relu(tf.add(tf.mul(image, spatial(a)), spatial(b)));
    save([image, value, mean, inverse, gains]);
    return { value, gradFunc: (dy, saved) => gradient(dy as tf.Tensor4D, saved) };
  });
  return normalise(x, scale, bias) as tf.Tensor4D;
}

/** Gradients by x, scale and bias. */
function gradient(dy: tf.Tensor4D, saved: tf.Tensor[]): tf.Tensor[] {
  const [x, y, mean, inverse, gains] = saved as [
    tf.Tensor4D,
    tf.Tensor4D,
    tf.Tensor2D,
    tf.Tensor2D,
    tf.Tensor2D,
  ];
  const [, height, width, channels] = x.shape;
  // y is never negative, so its sign is ReLU's derivative.
  const dz = tf.mul(dy, tf.sign(y));
  const sum = tf.sum(dz, [1, 2]);
  const weighted = tf.mul(tf.sub(tf.sum(tf.mul(dz, x), [1, 2]), tf.mul(mean, sum)), inverse);
  const positions = height * width;
  const meanOfSum = tf.div(overGroups(tf.mul(sum, gains)), positions);
  const meanOfWeighted = tf.div(overGroups(tf.mul(weighted, gains)), positions);
  const a = tf.mul<tf.Tensor2D>(inverse, gains);
  const b = tf.neg(tf.mul<tf.Tensor2D>(tf.square(inverse), meanOfWeighted));
  const c = tf.neg(tf.add<tf.Tensor2D>(tf.mul(inverse, meanOfSum), tf.mul(mean, b)));
  const dx = tf.add(tf.mul(dz, spatial(a)), tf.add(tf.mul(x, spatial(b)), spatial(c)));
  const vector = [1, 1, 1, channels];
  return [dx, tf.reshape(tf.sum(weighted, 0), vector), tf.reshape(tf.sum(sum, 0), vector)];
}

/** Replaces each channel's value in [N,C] by the mean over its group. */
function overGroups(perChannel: tf.Tensor): tf.Tensor2D {
  const [images, channels] = perChannel.shape as [number, number];
  const grouped = tf.reshape(perChannel, [images, GROUPS, channels / GROUPS]);
  const mean = tf.mean(grouped, 2, true);
  return tf.reshape(tf.broadcastTo(mean, grouped.shape), [images, channels]);
}

function spatial(perChannel: tf.Tensor2D): tf.Tensor4D {
  const [images, channels] = perChannel.shape;
  return tf.reshape(perChannel, [images, 1, 1, channels]);
}
