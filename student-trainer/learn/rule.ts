import type * as tf from "@tensorflow/tfjs-core";

/** What an optimizer does with one parameter: the tensors it keeps of it, and how a gradient becomes an update. */
export interface Rule {
  /** Names of the tensors kept for each parameter; of its shape, zero before the first step. */
  slots: readonly string[];
  /**
   * Prepares a step; what it answers is called for each parameter and must be pure tensor operations.
   *
   * @param rate learning rate times the schedule's value
   * @param step which update this is, counted from 1; a tensor, since a captured step must not freeze it
   */
  at(rate: tf.Scalar, step: tf.Scalar): (gradient: tf.Tensor, slots: tf.Tensor[]) => RuleUpdate;
}

export interface RuleUpdate {
  /** What is to be subtracted, weight decay aside. */
  update: tf.Tensor;
  /** The kept tensors for the next step, in the order of `Rule.slots`. */
  slots: tf.Tensor[];
}
