import { type Captured, captureStep } from "@funmatch/engine";
import { bit, bitConfigOf, valueRange, type Weights } from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";
import { adam } from "../learn/adam.ts";
import { klDistance } from "../learn/distance.ts";
import { globalNorm, optimizerUpdate } from "../learn/optimizer.ts";

/** The settings of a golden trajectory, named as big_vision names them. */
export interface TrajectoryConfig {
  lr: number;
  wd: number;
  wd_mask: string;
  grad_clip_norm?: number | null;
  b1: number;
  b2: number;
  eps: number;
  mu_dtype: "bfloat16" | "float32";
  temperature: number;
  total_steps: number;
  decay: string;
  [setting: string]: unknown;
}

/**
 * One training step of a golden trajectory, captured and with its state in the graph as in training. `nudge` is added
 * to the scaled images.
 */
export function captureTrajectoryStep(
  weights: Weights,
  config: TrajectoryConfig,
  images: number[],
  logits: number[],
): Captured {
  const names = Object.keys(weights);
  const rule = adam({ firstMoment: config.mu_dtype, b1: config.b1, b2: config.b2, epsilon: config.eps });
  const network = bit(bitConfigOf(weights));
  const scalar = { shape: [], dtype: "float32" } as const;
  return captureStep({
    inputs: {
      images: { shape: images, dtype: "uint8" },
      nudge: { shape: images, dtype: "float32" },
      lam: scalar,
      teacher: { shape: logits, dtype: "float32" },
      step: scalar,
      multiplier: scalar,
    },
    state: initialState(weights),
    fn: (inputs, state) => {
      const pixels = valueRange(inputs.images as tf.Tensor4D, [-1, 1]);
      const x = mixed(tf.add(pixels, inputs.nudge!), inputs.lam as tf.Scalar);
      const lossOf = (...values: tf.Tensor[]): tf.Scalar => {
        const params = Object.fromEntries(names.map((name, i) => [name, values[i]!]));
        const { logits: own } = network(params, x);
        return tf.mean(klDistance(own, inputs.teacher as tf.Tensor2D, config.temperature));
      };
      const params = Object.fromEntries(names.map((name) => [name, state[`params/${name}`]!]));
      const { value, grads } = tf.valueAndGrads(lossOf)(names.map((name) => params[name]!));
      const after = optimizerUpdate({
        rule,
        params,
        grads: Object.fromEntries(names.map((name, i) => [name, grads[i]!])),
        slots: state,
        step: inputs.step as tf.Scalar,
        multiplier: inputs.multiplier as tf.Scalar,
        learningRate: config.lr,
        weightDecay: config.wd,
        clip: config.grad_clip_norm ?? NO_CLIPPING,
        decays: new RegExp(`^(?:${config.wd_mask})$`),
      });
      const newState = { ...after.slots };
      for (const name of names) newState[`params/${name}`] = after.params[name]!;
      return {
        outputs: {
          loss: value,
          l2_grads: after.gradientNorm,
          l2_updates: after.updateNorm,
          l2_params: globalNorm(Object.values(after.params)),
        },
        state: newState,
      };
    },
  });
}

/** Greater than any norm, and still a float32. */
const NO_CLIPPING = 1e30;

/** The golden trajectories mix after scaling, in float: no rounding to bytes lies between. */
function mixed(x: tf.Tensor4D, lam: tf.Scalar): tf.Tensor4D {
  const [last, others] = tf.split(x, [1, x.shape[0] - 1].reverse(), 0).reverse() as [
    tf.Tensor4D,
    tf.Tensor4D,
  ];
  const previous = tf.concat([last, others], 0);
  return tf.add(tf.mul(x, lam), tf.mul(previous, tf.sub(1, lam)));
}

/** Parameters as they are given, moments zero. */
export function initialState(weights: Weights): Record<string, { shape: number[]; values: Float32Array }> {
  const state: Record<string, { shape: number[]; values: Float32Array }> = {};
  for (const [name, { shape, values }] of Object.entries(weights)) {
    state[`params/${name}`] = { shape, values };
    for (const moment of ["mu", "nu"])
      state[`${moment}/${name}`] = { shape, values: new Float32Array(values.length) };
  }
  return state;
}
