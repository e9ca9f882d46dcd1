import { roundToBfloat16 } from "@funmatch/engine";
import { fused } from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";
import { type Rule, zeros } from "./rule.ts";

/**
 * Adam with bias correction (arXiv 1412.6980).
 *
 * @param o.firstMoment bfloat16 keeps the first moment in that precision, as the paper of this project does
 * @param o.b1 decay rates of the moments and the number that keeps the division finite; default 0.9, 0.999, 1e-8
 */
export function adam(o: {
  firstMoment: "float32" | "bfloat16";
  b1?: number;
  b2?: number;
  epsilon?: number;
}): Rule {
  const { b1 = 0.9, b2 = 0.999, epsilon = 1e-8 } = o;
  const isBfloat16 = o.firstMoment === "bfloat16";
  // All that is the same for every number is multiplied together once: mu / c1 / (sqrt(nu / c2) + eps) * rate.
  const corrections = (rate: tf.Scalar, step: tf.Scalar) => {
    const correction1 = tf.sub(1, tf.pow(b1, step));
    const rootCorrection2 = tf.sqrt(tf.sub(1, tf.pow(b2, step)));
    const correctedRate = tf.mul(tf.div(rate, correction1), rootCorrection2);
    return { correctedRate, scaledEpsilon: tf.mul(rootCorrection2, epsilon) };
  };
  const operation = fused("FunmatchAdam");
  return {
    slots: (shape) => ({ mu: zeros(shape), nu: zeros(shape) }),
    at(rate, step) {
      const { correctedRate, scaledEpsilon } = corrections(rate, step);
      return (gradient, [mu, nu]) => {
        const newMu = tf.add(decayedFirstMoment(mu!, b1, isBfloat16), tf.mul(gradient, 1 - b1));
        const newNu = tf.add(tf.mul(nu!, b2), tf.mul(tf.square(gradient), 1 - b2));
        const update = tf.div(tf.mul(newMu, correctedRate), tf.add(tf.sqrt(newNu), scaledEpsilon));
        // The update is made from the unrounded moment; only what is carried on is rounded (as in optax).
        return { update, slots: [isBfloat16 ? roundToBfloat16(newMu) : newMu, newNu] };
      };
    },
    ...(operation && {
      whole(rate, step, clipping) {
        const { correctedRate, scaledEpsilon } = corrections(rate, step);
        const attributes = { keep1: b1, take1: 1 - b1, keep2: b2, take2: 1 - b2, narrow: isBfloat16 };
        return ({ param, gradient, slots: [mu, nu], decay = tf.scalar(0) }) => {
          const numbers = { clipping, rate: correctedRate, epsilon: scaledEpsilon, decay };
          const inputs = { param, gradient, mu: mu!, nu: nu!, ...numbers };
          const [newParam, newMu, newNu, squares] = operation(inputs, attributes);
          return { param: newParam!, slots: [newMu!, newNu!], squares: squares as tf.Scalar };
        };
      },
    }),
  };
}

/** optax multiplies a bfloat16 moment in bfloat16: its decay rate and the product are rounded too. */
function decayedFirstMoment(mu: tf.Tensor, b1: number, isBfloat16: boolean): tf.Tensor {
  return isBfloat16 ? roundToBfloat16(tf.mul(mu, roundToBfloat16(tf.scalar(b1)))) : tf.mul(mu, b1);
}
