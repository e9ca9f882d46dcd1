import * as tf from "@tensorflow/tfjs-core";

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

/** The same with a kernel as it is: one that was standardised before, say. */
export function paddedConv(x: tf.Tensor4D, kernel: tf.Tensor4D, stride: 1 | 2): tf.Tensor4D {
  const side = kernel.shape[0];
  if (stride === 1) return tf.conv2d(x, kernel, 1, "same");
  // SAME would pad a strided convolution on one side only, and the gradients of explicit padding are slow.
  return tf.conv2d(padSpatially(x, (side - 1) / 2, 0), kernel, stride, "valid");
}

/** Pads height and width by the same amount on every side. */
export function padSpatially(x: tf.Tensor4D, by: number, value: number): tf.Tensor4D {
  if (by === 0) return x;
  const pad: [number, number] = [by, by];
  return tf.pad(x, [[0, 0], pad, pad, [0, 0]], value);
}

/** Standardises a kernel over all axes but its last, with the gradient written by hand. */
export function standardize(kernel: tf.Tensor4D): tf.Tensor4D {
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
