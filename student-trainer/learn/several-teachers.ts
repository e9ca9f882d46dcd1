import * as tf from "@tensorflow/tfjs-core";
import type { Distance } from "./distance.ts";

/**
 * How several teachers teach. sum: the student's distances from each are added, as in the paper's code; mean: it has
 * one distance, from the mean of their probabilities (at temperature 1). For the KL divergence at temperature 1 the two
 * have the same gradient but for the factor of the number of teachers.
 */
export interface Several {
  teachers: number;
  combine: "sum" | "mean";
}

/** Logits [N,K] of several teachers as one array [N, teachers * K], an image's side by side; of one, as they are. */
export function sideBySide(all: readonly Float32Array[], classes: number): Float32Array {
  const [first] = all;
  if (!first) throw new RangeError("no teacher's logits");
  if (all.length === 1) return first;
  const joined = new Float32Array(first.length * all.length);
  const row = classes * all.length;
  all.forEach((logits, t) => {
    for (let i = 0; i * classes < logits.length; i++)
      joined.set(logits.subarray(i * classes, (i + 1) * classes), i * row + t * classes);
  });
  return joined;
}

/** The distance from several teachers, whose logits stand as `sideBySide` puts them; without them, `distance` itself. */
export function distanceFromAll(distance: Distance, several?: Several): Distance {
  if (!several) return distance;
  const { teachers, combine } = several;
  return (student, targets) => {
    const [images, classes] = student.shape;
    const each = Array.from({ length: teachers }, (_, t) =>
      tf.slice(targets, [0, t * classes], [images, classes]),
    );
    if (combine === "mean") return distance(student, meanProbabilities(each));
    return each.map((teacher) => distance(student, teacher)).reduce((sum, one) => tf.add(sum, one));
  };
}

/** Logarithms of the mean probabilities [N,K], finite also where every teacher's probability is next to zero. */
function meanProbabilities(each: tf.Tensor2D[]): tf.Tensor2D {
  const all = tf.stack(each.map((logits) => tf.logSoftmax(logits)));
  return tf.sub(tf.logSumExp(all, 0), Math.log(each.length));
}
