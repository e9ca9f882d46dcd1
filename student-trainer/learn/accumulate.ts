import type { Captured, CaptureOptions } from "@funmatch/engine";
import type { Weights } from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";
import { type OptimizerInputs, type OptimizerOutputs, optimizerUpdate } from "./optimizer.ts";
import type { StepRequest, StepResult } from "./student-worker.ts";

/**
 * Gradient accumulation: a batch goes through the student in equal micro-batches, whose gradients are summed before
 * the optimizer sees their mean. The captured step is that of one micro-batch. It computes what the optimizer would
 * do each time, but only the last micro-batch of a step lets that into the state, and clears the sums.
 */
const SUM = "sum/";

/** The sums before a step; they are zero again after each, so no checkpoint needs them. */
export function zeroSums(weights: Weights, names: string[]): Weights {
  return Object.fromEntries(
    names.map((name) => {
      const { shape, values } = weights[name]!;
      return [SUM + name, { shape, values: new Float32Array(values.length) }];
    }),
  );
}

/** Names and shapes of the states of a training step that a checkpoint must hold. */
export function lastingState(step: CaptureOptions): Record<string, number[]> {
  const all = Object.entries(step.state ?? {}).map(
    ([name, { shape }]) => [name, [...shape]] as [string, number[]],
  );
  return Object.fromEntries(all.filter(([name]) => !name.startsWith(SUM)));
}

/**
 * The optimizer's step after a micro-batch.
 *
 * @param o.grads of this micro-batch alone
 * @param o.slots the whole state, in which the sums are too
 * @param last 1 for the last of the `accumulate` micro-batches of a step, else 0
 */
export function accumulatedUpdate(o: OptimizerInputs, accumulate: number, last: tf.Scalar): OptimizerOutputs {
  const names = Object.keys(o.params);
  const sums = record(names, (name) => tf.add(o.slots[SUM + name]!, o.grads[name]!));
  const after = optimizerUpdate({ ...o, grads: record(names, (name) => tf.div(sums[name]!, accumulate)) });
  const isLast = tf.greater(last, 0);
  const ifLast = (then: tf.Tensor, otherwise: tf.Tensor) => tf.where(isLast, then, otherwise);
  const slots = record(Object.keys(after.slots), (name) => ifLast(after.slots[name]!, o.slots[name]!));
  for (const name of names) slots[SUM + name] = ifLast(tf.zerosLike(sums[name]!), sums[name]!);
  return {
    ...after,
    params: record(names, (name) => ifLast(after.params[name]!, o.params[name]!)),
    slots,
  };
}

/** Runs one step of training, which is `accumulate` runs of its captured micro-batch. */
export function runStep(update: Captured, request: StepRequest, accumulate: number): StepResult {
  let loss = 0;
  let out: ReturnType<Captured["run"]> = {};
  for (let i = 0; i < accumulate; i++) {
    const part = <T extends Uint8Array | Float32Array>(all: T): T => {
      const size = all.length / accumulate;
      return all.subarray(i * size, (i + 1) * size) as T;
    };
    out = update.run({
      images: part(request.images),
      targets: part(request.targets),
      step: Float32Array.of(request.step),
      multiplier: Float32Array.of(request.multiplier),
      ...(accumulate > 1 && { last: Float32Array.of(i === accumulate - 1 ? 1 : 0) }),
    });
    loss += out.loss![0]! / accumulate;
  }
  return { loss, gradientNorm: out.gradientNorm![0]!, updateNorm: out.updateNorm![0]! };
}

function record(names: string[], value: (name: string) => tf.Tensor): Record<string, tf.Tensor> {
  return Object.fromEntries(names.map((name) => [name, value(name)]));
}
