import * as tf from "@tensorflow/tfjs-core";
import { fused } from "./fused.ts";

/** GELU by its approximation with tanh, flax's default: by the engine's fused operation, where it has one. */
export function gelu<T extends tf.Tensor>(x: T): T {
  const [forward, backward] = [fused("FunmatchGelu"), fused("FunmatchGeluGrad")];
  if (!forward || !backward) return plainGelu(x);
  const activate = tf.customGrad((...args) => {
    const save = args[1] as unknown as tf.GradSaveFunc;
    save([args[0] as tf.Tensor]);
    return {
      value: forward({ x: args[0] as tf.Tensor })[0]!,
      gradFunc: (dy, [x]) => backward({ dy: dy as tf.Tensor, x: x! }),
    };
  });
  return activate(x) as T;
}

/** The same in tfjs's operations. */
export function plainGelu<T extends tf.Tensor>(x: T): T {
  const inner = tf.mul(tf.add(x, tf.mul(tf.mul(tf.square(x), x), 0.044715)), Math.sqrt(2 / Math.PI));
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
}
