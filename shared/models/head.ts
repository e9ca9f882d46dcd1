import * as tf from "@tensorflow/tfjs-core";

/**
 * The last layer, whose sums are the answer: [N,C] → [N,K]. The scope's name keeps its product in float32 where the
 * engine computes the others in bfloat16, whose 8 bits would give near classes the same logit.
 *
 * @param kernel [C,K], or with ones before
 */
export function head(x: tf.Tensor2D, kernel: tf.Tensor, bias: tf.Tensor): tf.Tensor2D {
  return tf.tidy("float32", () => {
    const matrix: tf.Tensor2D = tf.reshape(kernel, [x.shape[1], -1]);
    return tf.add<tf.Tensor2D>(tf.matMul(x, matrix), bias);
  });
}
