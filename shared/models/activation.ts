import * as tf from "@tensorflow/tfjs-core";

export type Activation = "none" | "relu" | "hardSwish";

export function activate<T extends tf.Tensor>(x: T, activation: Activation): T {
  switch (activation) {
    case "none":
      return x;
    case "relu":
      return tf.relu(x);
    case "hardSwish":
      return tf.mul(x, hardSigmoid(x));
  }
}

/** A sigmoid of straight lines: 0 below -3, 1 above 3. */
export function hardSigmoid<T extends tf.Tensor>(x: T): T {
  return tf.mul(tf.relu6(tf.add(x, 3)), 1 / 6);
}
