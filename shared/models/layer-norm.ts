import * as tf from "@tensorflow/tfjs-core";
import { fused } from "./fused.ts";

/** flax's. */
const EPSILON = 1e-6;

/**
 * LayerNorm over the last axis: by the engine's fused operation, where it has one.
 *
 * @param x [..., C]
 * @param scale [C]
 * @param bias [C]
 */
export function layerNorm<T extends tf.Tensor>(x: T, scale: tf.Tensor, bias: tf.Tensor): T {
  const [forward, backward] = [fused("FunmatchLayerNorm"), fused("FunmatchLayerNormGrad")];
  if (!forward || !backward) return plainLayerNorm(x, scale, bias);
  const normalise = tf.customGrad((...args) => {
    const [input, gain, offset] = args as unknown as [tf.Tensor, tf.Tensor, tf.Tensor];
    const save = args[3] as unknown as tf.GradSaveFunc;
    const inputs = { x: input, scale: gain, bias: offset };
    const [value, mean, inverse] = forward(inputs, { epsilon: EPSILON });
    save([input, gain, mean!, inverse!]);
    return {
      value: value!,
      gradFunc: (dy, saved) => {
        const [x, scale, mean, inverse] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
        return backward({ dy: dy as tf.Tensor, x, scale, mean, inverse });
      },
    };
  });
  return normalise(x, scale, bias) as T;
}

/** The same in tfjs's operations, with the gradient written by hand. */
export function plainLayerNorm<T extends tf.Tensor>(x: T, scale: tf.Tensor, bias: tf.Tensor): T {
  const normalise = tf.customGrad((...args) => {
    const [input, gain, offset] = args as unknown as [T, tf.Tensor, tf.Tensor];
    const save = args[3] as unknown as tf.GradSaveFunc;
    const centred = tf.sub(input, tf.mean(input, -1, true));
    const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), EPSILON));
    const standard = tf.mul(centred, inverse);
    save([standard, inverse, gain]);
    return {
      value: tf.add(tf.mul(standard, gain), offset),
      gradFunc: (dy, saved) => gradient(dy as tf.Tensor, saved),
    };
  });
  return normalise(x, scale, bias) as T;
}

/** Gradients by x, scale and bias. */
function gradient(dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] {
  const [standard, inverse, gain] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
  const rows = dy.shape.slice(0, -1).map((_, axis) => axis);
  const d = tf.mul(dy, gain);
  const along = tf.mul(standard, tf.mean(tf.mul(d, standard), -1, true));
  const dx = tf.mul(inverse, tf.sub(tf.sub(d, tf.mean(d, -1, true)), along));
  return [dx, tf.sum(tf.mul(dy, standard), rows), tf.sum(dy, rows)];
}
