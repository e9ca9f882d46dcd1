import type * as tf from "@tensorflow/tfjs-core";
import type { Roots } from "./inverse-root.ts";

/** What an optimizer does with one parameter: the tensors it keeps of it, and how a gradient becomes an update. */
export interface Rule {
  /** The tensors kept for a parameter of this shape, by name, as they are before the first step. */
  slots(shape: number[]): Record<string, Slot>;
  /**
   * Prepares a step; what it answers is called for each parameter and must be pure tensor operations.
   *
   * @param rate learning rate times the schedule's value
   * @param step which update this is, counted from 1; a tensor, since a captured step must not freeze it
   */
  at(rate: tf.Scalar, step: tf.Scalar): (gradient: tf.Tensor, slots: tf.Tensor[]) => RuleUpdate;
  /**
   * The whole step of a parameter, clipping, weight decay and subtraction included, in one operation. Absent where the
   * engine has none: then it is made of `at` and plain operations, which is the same to rounding.
   *
   * @param clipping what the gradient is multiplied by
   */
  whole?(rate: tf.Scalar, step: tf.Scalar, clipping: tf.Scalar): (parameter: WholeParameter) => WholeUpdate;
  /** Slots that are not computed in the step, but between some. */
  roots?: Roots;
}

export interface Slot {
  shape: number[];
  values: Float32Array;
}

export interface RuleUpdate {
  /** What is to be subtracted, weight decay aside. */
  update: tf.Tensor;
  /** The kept tensors for the next step, in the order of `Rule.slots`. */
  slots: tf.Tensor[];
}

export interface WholeParameter {
  param: tf.Tensor;
  /** As it comes out of the network. */
  gradient: tf.Tensor;
  slots: tf.Tensor[];
  /** Share of the parameter that is taken away, or undefined for none. */
  decay: tf.Scalar | undefined;
}

export interface WholeUpdate {
  param: tf.Tensor;
  slots: tf.Tensor[];
  /** Sum of the squares of what was subtracted. */
  squares: tf.Scalar;
}

export function zeros(shape: number[]): Slot {
  return { shape, values: new Float32Array(shape.reduce((product, side) => product * side, 1)) };
}
