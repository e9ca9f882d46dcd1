import { roundToBfloat16 } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";

type Tensors = Record<string, tf.Tensor>;

export interface AdamInputs {
  params: Tensors;
  grads: Tensors;
  /** First and second moments, zero before the first step. */
  mu: Tensors;
  nu: Tensors;
  /** Which update this is, counted from 1; a tensor, since a captured step must not freeze it. */
  step: tf.Scalar;
  /** The schedule's value for this step; scales weight decay too. */
  multiplier: tf.Scalar;
  learningRate: number;
  /** Share of a kernel taken away per step at multiplier 1; not scaled by the learning rate. */
  weightDecay: number;
  /** Largest global norm of the gradients that is let through. */
  clip: number;
  /** Keep the first moment in bfloat16 precision, as the paper does. */
  muBfloat16: boolean;
  /** Decay rates of the moments and the number that keeps the division finite; default 0.9, 0.999, 1e-8. */
  b1?: number;
  b2?: number;
  epsilon?: number;
  /** Names of the parameters that decay; default: what is called `…/kernel`. */
  decays?: RegExp;
}

export interface AdamOutputs {
  params: Tensors;
  mu: Tensors;
  nu: Tensors;
  /** Global norm of the gradients before clipping. */
  gradientNorm: tf.Scalar;
  /** Global norm of what was subtracted from the parameters. */
  updateNorm: tf.Scalar;
}

/**
 * One step of the paper's optimizer: clip by global norm, Adam with bias correction, times the learning rate, plus
 * decoupled weight decay of the kernels, times the schedule, subtracted.
 * Pure tensor operations on names, so that it can be captured.
 */
export function adamUpdate(o: AdamInputs): AdamOutputs {
  const { b1 = 0.9, b2 = 0.999, epsilon = 1e-8, decays = /.*\/kernel$/ } = o;
  const names = Object.keys(o.params);
  const gradientNorm = globalNorm(names.map((name) => o.grads[name]!));
  const clipping = tf.div(o.clip, tf.maximum(gradientNorm, o.clip));
  const correction1 = tf.sub(1, tf.pow(b1, o.step));
  const rootCorrection2 = tf.sqrt(tf.sub(1, tf.pow(b2, o.step)));
  // All that is the same for every number is multiplied together once: mu / c1 / (sqrt(nu / c2) + eps) * lr * schedule.
  const rate = tf.mul(tf.div(tf.mul(o.multiplier, o.learningRate), correction1), rootCorrection2);
  const scaledEpsilon = tf.mul(rootCorrection2, epsilon);
  const decay = tf.mul(o.multiplier, o.weightDecay);

  const out: Pick<AdamOutputs, "params" | "mu" | "nu"> = { params: {}, mu: {}, nu: {} };
  const updates = names.map((name) => {
    const [param, mu, nu] = [o.params[name]!, o.mu[name]!, o.nu[name]!];
    const gradient = tf.mul(o.grads[name]!, clipping);
    const newMu = tf.add(decayedFirstMoment(mu, b1, o.muBfloat16), tf.mul(gradient, 1 - b1));
    const newNu = tf.add(tf.mul(nu, b2), tf.mul(tf.square(gradient), 1 - b2));
    let update: tf.Tensor = tf.div(tf.mul(newMu, rate), tf.add(tf.sqrt(newNu), scaledEpsilon));
    if (o.weightDecay > 0 && decays.test(name)) update = tf.add(update, tf.mul(param, decay));
    out.params[name] = tf.sub(param, update);
    // The update was made from the unrounded moment; only what is carried to the next step is rounded (as in optax).
    out.mu[name] = o.muBfloat16 ? roundToBfloat16(newMu) : newMu;
    out.nu[name] = newNu;
    return update;
  });
  return { ...out, gradientNorm, updateNorm: globalNorm(updates) };
}

/** optax multiplies a bfloat16 moment in bfloat16: its decay rate and the product are rounded too. */
function decayedFirstMoment(mu: tf.Tensor, b1: number, isBfloat16: boolean): tf.Tensor {
  return isBfloat16 ? roundToBfloat16(tf.mul(mu, roundToBfloat16(tf.scalar(b1)))) : tf.mul(mu, b1);
}

/** L2 norm of all numbers of all tensors together. */
export function globalNorm(tensors: tf.Tensor[]): tf.Scalar {
  return tf.sqrt(tf.addN(tensors.map((t) => tf.sum(tf.square(t)))));
}
