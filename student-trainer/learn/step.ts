import { type Captured, type CaptureOptions, captureStep, productsInBfloat16 } from "@funmatch/engine";
import { isStatistic, type Network, valueRange, type Weights } from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";
import type { DistanceConfig, OptimizerConfig } from "../method.ts";
import { accumulatedUpdate, zeroSums } from "./accumulate.ts";
import { distanceOf, labelLoss } from "./distance.ts";
import { trainedNames, wholeName } from "./name-pattern.ts";
import { firstSlots, type OptimizerInputs, optimizerUpdate, ruleOf } from "./optimizer.ts";
import { distanceFromAll, type Several } from "./several-teachers.ts";

/** What the student is pulled towards: a teacher's logits, or (mixed) one-hot labels. */
export type Teaching = "logits" | "labels";

/** What the network's convolutions and matrix products, and those of its gradients, are computed in. */
export type Compute = "float32" | "bfloat16";

export interface UpdateOptions {
  network: Network;
  classes: number;
  weights: Weights;
  resolution: number;
  batch: number;
  /** Micro-batches of a batch; 1: it goes through the network at once. */
  accumulate: number;
  teaching: Teaching;
  /** How many teachers there are and how they teach together; absent where there is one, or none. */
  several?: Several;
  /** From a teacher's logits; labels have a loss of their own. */
  distance: DistanceConfig;
  optimizer: OptimizerConfig;
  compute: Compute;
}

/**
 * One training step, or with `accumulate` that of a micro-batch: images and targets in, loss and norms out, parameters and what the optimizer keeps of them updated.
 * Frozen parameters are part of the state, but neither they nor their gradients are computed. Running statistics move
 * with every pass, so with `accumulate` once a micro-batch.
 *
 * Inputs: `images` uint8 [N, R, R, 3]; `targets` float32 [N, K], the teacher's logits or label probabilities
 * (of several teachers [N, teachers * K], an image's logits side by side);
 * `step` float32 [], counted from 1; `multiplier` float32 [], the schedule's value for this step;
 * with `accumulate`, `last` float32 [], 1 for a step's last micro-batch, else 0.
 * Outputs: `loss`, `gradientNorm`, `updateNorm`, each float32 [].
 * State: `params/<name>`, running statistics among them, and the optimizer's (`mu/<name>`, `nu/<name>` for Adam).
 */
export function updateStep(o: UpdateOptions): CaptureOptions {
  const names = Object.keys(o.weights).sort();
  const trained = trainedNames(
    names.filter((name) => !isStatistic(name)),
    o.optimizer,
  );
  const frozen = names.filter((name) => !trained.includes(name));
  const decays = wholeName(o.optimizer.decay);
  const rule = ruleOf(o.optimizer);
  const distance = o.teaching === "labels" ? labelLoss : distanceFromAll(distanceOf(o.distance), o.several);
  const microBatch = o.batch / o.accumulate;
  const image = [microBatch, o.resolution, o.resolution, 3];
  return {
    inputs: {
      images: { shape: image, dtype: "uint8" },
      targets: { shape: [microBatch, (o.several?.teachers ?? 1) * o.classes], dtype: "float32" },
      step: { shape: [], dtype: "float32" },
      multiplier: { shape: [], dtype: "float32" },
      ...(o.accumulate > 1 && { last: { shape: [], dtype: "float32" } as const }),
    },
    state: {
      ...parameterState(o.weights),
      ...firstSlots(rule, o.weights, trained),
      ...(o.accumulate > 1 && zeroSums(o.weights, trained)),
    },
    fn: (inputs, state) => {
      const x = valueRange(inputs.images as tf.Tensor4D, [-1, 1]);
      const targets = inputs.targets as tf.Tensor2D;
      const moved = carriedOut();
      const lossOf = (...values: tf.Tensor[]): tf.Scalar => {
        const params = { ...record(trained, values), ...record(frozen, part(state, "params", frozen)) };
        const { logits, statistics } = o.network(params, x, { training: true });
        moved.carry(statistics);
        return tf.mean(distance(logits, targets));
      };
      const gradients = tf.valueAndGrads(lossOf);
      const { value, grads } = computedIn(o.compute, () => gradients(part(state, "params", trained)));
      const into: OptimizerInputs = {
        rule,
        params: record(trained, part(state, "params", trained)),
        grads: record(trained, grads),
        slots: state,
        step: inputs.step as tf.Scalar,
        multiplier: inputs.multiplier as tf.Scalar,
        learningRate: o.optimizer.learningRate,
        weightDecay: o.optimizer.weightDecay,
        clip: o.optimizer.clip,
        decays,
      };
      const after =
        o.accumulate > 1
          ? accumulatedUpdate(into, o.accumulate, inputs.last as tf.Scalar)
          : optimizerUpdate(into);
      return {
        outputs: { loss: value, gradientNorm: after.gradientNorm, updateNorm: after.updateNorm },
        state: { ...prefixed("params", { ...after.params, ...moved.take() }), ...after.slots },
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

/**
 * Captures the student's forward pass in inference: `images` uint8 [N, R, R, 3] → `logits` float32 [N, K] and
 * `features` [N, C], what the head reads.
 */
export function captureForward(o: {
  network: Network;
  weights: Weights;
  resolution: number;
  batch: number;
  compute: Compute;
}): Captured {
  return captureStep({
    inputs: { images: { shape: [o.batch, o.resolution, o.resolution, 3], dtype: "uint8" } },
    state: parameterState(o.weights),
    fn: (inputs, state) => {
      const names = Object.keys(o.weights);
      const params = record(names, part(state, "params", names));
      const x = valueRange(inputs.images as tf.Tensor4D, [-1, 1]);
      const { logits, preLogits } = computedIn(o.compute, () => o.network(params, x, { training: false }));
      return { outputs: { logits, features: preLogits } };
    },
  });
}

function computedIn<T>(compute: Compute, fn: () => T): T {
  return compute === "bfloat16" ? productsInBfloat16(fn) : fn();
}

type State = Record<string, { shape: readonly number[]; values: Float32Array }>;

function parameterState(weights: Weights): State {
  return prefixed("params", weights);
}

function part(state: Record<string, tf.Tensor>, kind: string, names: string[]): tf.Tensor[] {
  return names.map((name) => state[`${kind}/${name}`] as tf.Tensor);
}

function record<T>(names: string[], values: T[]): Record<string, T> {
  return Object.fromEntries(names.map((name, i) => [name, values[i] as T]));
}

function prefixed<T>(kind: string, values: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${kind}/${name}`, value]));
}
