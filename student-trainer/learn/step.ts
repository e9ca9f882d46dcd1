import { type Captured, type CaptureOptions, captureStep } from "@funmatch/engine";
import { isStatistic, type NetworkConfig, networkOf, valueRange, type Weights } from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";
import { adamUpdate } from "./adam.ts";
import { klDistance, labelLoss } from "./distance.ts";

/** What the student is pulled towards: a teacher's logits, or (mixed) one-hot labels. */
export type Teaching = "logits" | "labels";

/** A network as a function of its parameters and of images [N,H,W,3] in its value range. */
export type Network = (
  params: Record<string, tf.Tensor>,
  x: tf.Tensor4D,
  mode: { training: boolean },
) => { logits: tf.Tensor2D; statistics?: Record<string, tf.Tensor> };

export interface UpdateOptions {
  model: NetworkConfig;
  weights: Weights;
  resolution: number;
  batch: number;
  teaching: Teaching;
  temperature: number;
  optimizer: { learningRate: number; weightDecay: number; clip: number; firstMoment: "float32" | "bfloat16" };
}

/**
 * One training step: images and targets in, loss and norms out, parameters and both moments updated.
 *
 * Inputs: `images` uint8 [N, R, R, 3]; `targets` float32 [N, K], the teacher's logits or label probabilities;
 * `step` float32 [], counted from 1; `multiplier` float32 [], the schedule's value for this step.
 * Outputs: `loss`, `gradientNorm`, `updateNorm`, each float32 [].
 * State: `params/<name>`, `mu/<name>`, `nu/<name>`; running statistics, which have no moments, are among the first.
 */
export function updateStep(o: UpdateOptions, network: Network = networkOf(o.model).apply()): CaptureOptions {
  const names = Object.keys(o.weights).sort();
  const trained = names.filter((name) => !isStatistic(name));
  const statistics = names.filter(isStatistic);
  const image = [o.batch, o.resolution, o.resolution, 3];
  return {
    inputs: {
      images: { shape: image, dtype: "uint8" },
      targets: { shape: [o.batch, o.model.classes], dtype: "float32" },
      step: { shape: [], dtype: "float32" },
      multiplier: { shape: [], dtype: "float32" },
    },
    state: initialState(o.weights),
    fn: (inputs, state) => {
      const x = valueRange(inputs.images as tf.Tensor4D, [-1, 1]);
      const targets = inputs.targets as tf.Tensor2D;
      const moved = carriedOut();
      const lossOf = (...values: tf.Tensor[]): tf.Scalar => {
        const params = {
          ...record(trained, values),
          ...record(statistics, part(state, "params", statistics)),
        };
        const out = network(params, x, { training: true });
        const { logits } = out;
        moved.carry(out.statistics);
        const distance =
          o.teaching === "labels" ? labelLoss(logits, targets) : klDistance(logits, targets, o.temperature);
        return tf.mean(distance);
      };
      const { value, grads } = tf.valueAndGrads(lossOf)(part(state, "params", trained));
      const after = adamUpdate({
        params: record(trained, part(state, "params", trained)),
        grads: record(trained, grads),
        mu: record(trained, part(state, "mu", trained)),
        nu: record(trained, part(state, "nu", trained)),
        step: inputs.step as tf.Scalar,
        multiplier: inputs.multiplier as tf.Scalar,
        learningRate: o.optimizer.learningRate,
        weightDecay: o.optimizer.weightDecay,
        clip: o.optimizer.clip,
        muBfloat16: o.optimizer.firstMoment === "bfloat16",
      });
      return {
        outputs: { loss: value, gradientNorm: after.gradientNorm, updateNorm: after.updateNorm },
        state: {
          ...prefixed("params", { ...after.params, ...moved.take() }),
          ...prefixed("mu", after.mu),
          ...prefixed("nu", after.nu),
        },
      };
    },
  };
}

/** Lets tensors out of a function that is differentiated, whose end would dispose of them. */
function carriedOut() {
  const held: Record<string, tf.Tensor> = {};
  return {
    carry(tensors: Record<string, tf.Tensor> = {}): void {
      for (const [name, tensor] of Object.entries(tensors)) held[name] = tf.keep(tensor);
    },
    take(): Record<string, tf.Tensor> {
      const taken = Object.entries(held).map(([name, tensor]) => [name, tf.clone(tensor)] as const);
      tf.dispose(held);
      return Object.fromEntries(taken);
    },
  };
}

/** The training step as one native call; its state stays inside the session. */
export function captureUpdate(o: UpdateOptions): Captured {
  return captureStep(updateStep(o));
}

/** Captures the student's forward pass in inference: `images` uint8 [N, R, R, 3] → `logits` float32 [N, K]. */
export function captureForward(o: {
  model: NetworkConfig;
  weights: Weights;
  resolution: number;
  batch: number;
}): Captured {
  const network = networkOf(o.model).apply();
  return captureStep({
    inputs: { images: { shape: [o.batch, o.resolution, o.resolution, 3], dtype: "uint8" } },
    state: parameterState(o.weights),
    fn: (inputs, state) => {
      const names = Object.keys(o.weights);
      const params = record(names, part(state, "params", names));
      const x = valueRange(inputs.images as tf.Tensor4D, [-1, 1]);
      return { outputs: { logits: network(params, x, { training: false }).logits } };
    },
  });
}

type State = Record<string, { shape: readonly number[]; values: Float32Array }>;

function parameterState(weights: Weights): State {
  return prefixed("params", weights);
}

function initialState(weights: Weights): State {
  const zeros: Weights = {};
  for (const [name, { shape, values }] of Object.entries(weights))
    if (!isStatistic(name)) zeros[name] = { shape, values: new Float32Array(values.length) };
  return { ...parameterState(weights), ...prefixed("mu", zeros), ...prefixed("nu", zeros) };
}

function part(state: Record<string, tf.Tensor>, kind: string, names: string[]): tf.Tensor[] {
  return names.map((name) => state[`${kind}/${name}`] as tf.Tensor);
}

function record(names: string[], values: tf.Tensor[]): Record<string, tf.Tensor> {
  return Object.fromEntries(names.map((name, i) => [name, values[i] as tf.Tensor]));
}

function prefixed<T>(kind: string, values: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${kind}/${name}`, value]));
}
