import * as tf from "@tensorflow/tfjs-core";
import { convolve } from "./convolution.ts";
import { fused } from "./fused.ts";

export const EPSILON = 1e-10;

/**
 * Convolution whose kernel is standardised per output channel (mean 0, population variance 1) before it is applied.
 *
 * @param x [N,H,W,I]
 * @param kernel [k,k,I,O], k odd; the image is padded by k/2 on every side
 */
export function standardizedConv(x: tf.Tensor4D, kernel: tf.Tensor4D, stride: 1 | 2): tf.Tensor4D {
  return paddedConv(x, standardize(kernel), stride);
}

/** The same with a constant kernel that was standardised before: of a network that is not trained any more. */
export function constantConv(x: tf.Tensor4D, kernel: tf.Tensor4D, stride: 1 | 2): tf.Tensor4D {
  return paddedConv(x, kernel, stride, true);
}

function paddedConv(x: tf.Tensor4D, kernel: tf.Tensor4D, stride: 1 | 2, constant = false): tf.Tensor4D {
  return convolve(x, kernel, stride, (kernel.shape[0] - 1) / 2, constant);
}

/** Standardises a kernel over all axes but its last: by the engine's fused operation, where it has one. */
export function standardize(kernel: tf.Tensor4D): tf.Tensor4D {
  const forward = fused("FunmatchWeightStandardization");
  const backward = fused("FunmatchWeightStandardizationGrad");
  if (!forward || !backward) return plainStandardize(kernel);
  const normalise = tf.customGrad((...args) => {
    const save = args[1] as unknown as tf.GradSaveFunc;
    const [value, inverse] = forward({ kernel: args[0] as tf.Tensor }, { epsilon: EPSILON });
    save([value!, inverse!]);
    return {
      value: value!,
      gradFunc: (dy, [standard, inverse]) =>
        backward({ dy: dy as tf.Tensor, standard: standard!, inverse: inverse! }),
    };
  });
  return normalise(kernel) as tf.Tensor4D;
}

/** The same in tfjs's operations, with the gradient written by hand. */
export function plainStandardize(kernel: tf.Tensor4D): tf.Tensor4D {
  const normalise = tf.customGrad((...args) => {
    const w = args[0] as tf.Tensor4D;
    const save = args[1] as unknown as tf.GradSaveFunc;
    const rows = tf.reshape(w, [-1, w.shape[3]]);
    const centred = tf.sub(rows, tf.mean(rows, 0, true));
    const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 0, true), EPSILON));
    const standard = tf.mul(centred, inverse);
    save([standard, inverse]);
    return {
      value: tf.reshape(standard, w.shape),
      gradFunc: (dy, saved) => {
        const [y, r] = saved as [tf.Tensor2D, tf.Tensor2D];
        const d = tf.reshape(dy, y.shape);
        const along = tf.mul(y, tf.mean(tf.mul(d, y), 0, true));
        return tf.reshape(tf.mul(r, tf.sub(tf.sub(d, tf.mean(d, 0, true)), along)), dy.shape);
      },
    };
  });
  return normalise(kernel) as tf.Tensor4D;
}
