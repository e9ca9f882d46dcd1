import { fused, type Weights } from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";
import type { OptimizerConfig } from "../method.ts";
import { adam } from "./adam.ts";
import type { Rule, WholeParameter, WholeUpdate } from "./rule.ts";
import { sgd } from "./sgd.ts";
import { shampoo } from "./shampoo.ts";

type Tensors = Record<string, tf.Tensor>;

/** The rule that a config names. */
export function ruleOf(config: OptimizerConfig): Rule {
  switch (config.kind) {
    case "adam":
      return adam(config);
    case "sgd":
      return sgd(config);
    case "shampoo":
      return shampoo(config);
  }
}

export interface OptimizerInputs {
  rule: Rule;
  params: Tensors;
  /** Of the same names as the parameters. */
  grads: Tensors;
  /** What the rule keeps, each by `<slot>/<parameter>`; other names are not looked at. */
  slots: Tensors;
  /** Which update this is, counted from 1; a tensor, since a captured step must not freeze it. */
  step: tf.Scalar;
  /** The schedule's value for this step; scales weight decay too. */
  multiplier: tf.Scalar;
  learningRate: number;
  /** Share of a parameter taken away per step at multiplier 1; not scaled by the learning rate. */
  weightDecay: number;
  /** Names of the parameters that decay. */
  decays: RegExp;
  /** Largest global norm of the gradients that is let through. */
  clip: number;
}

export interface OptimizerOutputs {
  params: Tensors;
  slots: Tensors;
  /** Global norm of the gradients before clipping. */
  gradientNorm: tf.Scalar;
  /** Global norm of what was subtracted from the parameters. */
  updateNorm: tf.Scalar;
}

/**
 * One step of the paper's optimizer with any rule in its middle: clip by global norm, the rule (Adam in the paper),
 * times the learning rate, plus decoupled weight decay, times the schedule, subtracted.
 * Pure tensor operations on names, so that it can be captured.
 */
export function optimizerUpdate(o: OptimizerInputs): OptimizerOutputs {
  const names = Object.keys(o.params);
  const gradientNorm = globalNorm(names.map((name) => o.grads[name]!));
  const clipping = tf.div<tf.Scalar>(o.clip, tf.maximum(gradientNorm, o.clip));
  const rate = tf.mul<tf.Scalar>(o.multiplier, o.learningRate);
  const decay = tf.mul<tf.Scalar>(o.multiplier, o.weightDecay);
  const update = o.rule.whole?.(rate, o.step, clipping) ?? inParts(o.rule.at(rate, o.step), clipping);

  const [params, slots]: [Tensors, Tensors] = [{}, {}];
  const squares = names.map((name) => {
    const param = o.params[name]!;
    const slotNames = Object.keys(o.rule.slots(param.shape));
    const after = update({
      param,
      gradient: o.grads[name]!,
      slots: slotNames.map((slot) => o.slots[`${slot}/${name}`]!),
      decay: o.weightDecay > 0 && o.decays.test(name) ? decay : undefined,
    });
    params[name] = after.param;
    for (const [i, slot] of slotNames.entries()) slots[`${slot}/${name}`] = after.slots[i]!;
    return after.squares;
  });
  return { params, slots, gradientNorm, updateNorm: tf.sqrt(tf.addN(squares)) };
}

/** The step of a parameter by a rule that knows only how a gradient becomes an update. */
function inParts(apply: ReturnType<Rule["at"]>, clipping: tf.Scalar): (o: WholeParameter) => WholeUpdate {
  return ({ param, gradient, slots, decay }) => {
    const after = apply(tf.mul(gradient, clipping), slots);
    const update = decay ? tf.add(after.update, tf.mul(param, decay)) : after.update;
    return { param: tf.sub(param, update), slots: after.slots, squares: sumOfSquares(update) };
  };
}

/** What a rule keeps of the named parameters before the first step, by `<slot>/<parameter>`. */
export function firstSlots(rule: Rule, weights: Weights, names: string[]): Weights {
  return Object.fromEntries(
    names.flatMap((name) =>
      Object.entries(rule.slots(weights[name]!.shape)).map(([slot, first]) => [`${slot}/${name}`, first]),
    ),
  );
}

/** L2 norm of all numbers of all tensors together. */
export function globalNorm(tensors: tf.Tensor[]): tf.Scalar {
  return tf.sqrt(tf.addN(tensors.map(sumOfSquares)));
}

function sumOfSquares(x: tf.Tensor): tf.Scalar {
  const operation = fused("FunmatchSumOfSquares");
  return operation ? (operation({ x })[0] as tf.Scalar) : tf.sum(tf.square(x));
}
