import * as tf from "@tensorflow/tfjs-core";
import type { DistanceConfig } from "../method.ts";

/** Per example: student logits [N,K], teacher logits [N,K] → [N]. */
export type Distance = (student: tf.Tensor2D, teacher: tf.Tensor2D) => tf.Tensor1D;

/** The distance that a config names. */
export function distanceOf(config: DistanceConfig): Distance {
  switch (config.kind) {
    case "kl":
      return (student, teacher) => klDistance(student, teacher, config.temperature);
    case "hard":
      return (student, teacher) => hardDistance(student, teacher, config.smoothing);
    case "euclidean":
      return euclideanDistance;
    case "l2":
      return l2Distance;
    case "logsoftmax_euclidean":
      return logSoftmaxDistance;
  }
}

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

/** Squared Euclidean distance of the logits, per example. */
export function l2Distance(student: tf.Tensor2D, teacher: tf.Tensor2D): tf.Tensor1D {
  return tf.sum(tf.squaredDifference(student, teacher), 1);
}

/** Euclidean distance of the logits, per example; smooth at zero. */
export function euclideanDistance(student: tf.Tensor2D, teacher: tf.Tensor2D): tf.Tensor1D {
  return tf.sqrt(tf.add(l2Distance(student, teacher), 1e-12));
}

/** Euclidean distance of the log-probabilities, per example. */
export function logSoftmaxDistance(student: tf.Tensor2D, teacher: tf.Tensor2D): tf.Tensor1D {
  return euclideanDistance(tf.logSoftmax(student), tf.logSoftmax(teacher));
}

/**
 * Divergence from the teacher's first choice taken as the label, per example.
 *
 * @param smoothing share of the label given in equal parts to all other classes
 */
export function hardDistance(student: tf.Tensor2D, teacher: tf.Tensor2D, smoothing: number): tf.Tensor1D {
  const classes = teacher.shape[1];
  const first = tf.cast(tf.oneHot(tf.argMax(teacher, 1), classes), "float32");
  const others = smoothing / (classes - 1);
  return labelLoss(student, tf.add(tf.mul(first, 1 - smoothing - others), others) as tf.Tensor2D);
}

/** 1 where the teacher's first choice is among the student's first `k`, else 0, per example; int32. */
export function agreement(student: tf.Tensor2D, teacher: tf.Tensor2D, k: number): tf.Tensor1D {
  const choices = tf.topk(student, k).indices;
  const first = tf.topk(teacher, 1).indices;
  return tf.sum(tf.cast(tf.equal(choices, first), "int32"), 1);
}
