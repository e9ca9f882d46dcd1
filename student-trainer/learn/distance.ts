import * as tf from "@tensorflow/tfjs-core";

/**
 * KL divergence of the student from the teacher at a temperature, times the temperature squared so that its
 * gradient keeps its size: the distance of the paper. Differentiable by the student only.
 *
 * @param student logits [N,K]
 * @param teacher logits [N,K]
 * @returns [N]
 */
export function klDistance(student: tf.Tensor2D, teacher: tf.Tensor2D, temperature: number): tf.Tensor1D {
  const target = tf.softmax(tf.div<tf.Tensor2D>(teacher, temperature));
  return tf.mul(divergence(tf.div(student, temperature), target), temperature ** 2);
}

/**
 * KL divergence of the student from label probabilities (one-hot, smoothed or mixed): cross-entropy, less the
 * labels' own entropy.
 *
 * @param labels probabilities [N,K]
 */
export function labelLoss(student: tf.Tensor2D, labels: tf.Tensor2D): tf.Tensor1D {
  return divergence(student, labels);
}

function divergence(logits: tf.Tensor2D, target: tf.Tensor2D): tf.Tensor1D {
  const entropy = tf.mul(target, tf.log(tf.maximum(target, 1e-8)));
  return tf.sum(tf.sub(entropy, tf.mul(target, tf.logSoftmax(logits))), 1);
}
