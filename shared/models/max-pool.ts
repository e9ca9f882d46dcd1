import * as tf from "@tensorflow/tfjs-core";
import { padSpatially } from "./convolution.ts";
import { fused } from "./fused.ts";

const WINDOWS = { side: 3, stride: 2, pad: 1 };

/**
 * Max-pooling by 3 × 3 at every second position, one position of padding on each side, which never wins: by the
 * engine's fused operation, where it has one.
 */
export function maxPoolPastBorder(x: tf.Tensor4D): tf.Tensor4D {
  const [forward, backward] = [fused("FunmatchMaxPool"), fused("FunmatchMaxPoolGrad")];
  if (!forward || !backward) return plainMaxPoolPastBorder(x);
  const [, height, width] = x.shape;
  const pool = tf.customGrad((...args) => {
    const save = args[1] as unknown as tf.GradSaveFunc;
    const [value, place] = forward({ x: args[0] as tf.Tensor }, WINDOWS);
    save([place!]);
    return {
      value: value!,
      gradFunc: (dy, [place]) =>
        backward({ dy: dy as tf.Tensor, place: place! }, { ...WINDOWS, height, width }),
    };
  });
  return pool(x) as tf.Tensor4D;
}

/** The same in tfjs's operations. */
export function plainMaxPoolPastBorder(x: tf.Tensor4D): tf.Tensor4D {
  const { side, stride, pad } = WINDOWS;
  return tf.maxPool(padSpatially(x, pad, Number.NEGATIVE_INFINITY), side, stride, "valid");
}
