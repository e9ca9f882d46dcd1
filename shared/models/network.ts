import type * as tf from "@tensorflow/tfjs-core";
import type { Weights } from "./bit-config.ts";

/** `count` standard normal numbers for a name; the same name must give the same numbers. */
export type Normal = (name: string, count: number) => Float32Array;

/** What a forward pass gives, in float32. */
export interface NetworkOutputs {
  /** What the head reads: [N, C]. */
  preLogits: tf.Tensor2D;
  logits: tf.Tensor2D;
  /** New values of the running statistics, by name, where the pass was one of training and the network has any. */
  statistics?: Record<string, tf.Tensor>;
}

/**
 * A network as a pure function of its parameters, its running statistics among them, and of images [N,H,W,3] that are
 * already in its value range.
 */
export type Network = (
  params: Record<string, tf.Tensor>,
  x: tf.Tensor4D,
  mode: { training: boolean },
) => NetworkOutputs;

/** A kind of network: what a trainer needs to know of it. */
export interface NetworkFamily<Config> {
  /** Every parameter and running statistic with its shape, in the order of the forward pass. */
  shapes(config: Config): Record<string, number[]>;
  init(config: Config, normal: Normal): Weights;
  apply(config: Config): Network;
}

/** Whether a name is that of a running statistic, which is carried from step to step but not trained. */
export function isStatistic(name: string): boolean {
  return /\/(mean|variance)$/.test(name);
}

/** The weights that are trained: all but running statistics. */
export function trainedOf(weights: Weights): Weights {
  return Object.fromEntries(Object.entries(weights).filter(([name]) => !isStatistic(name)));
}

/** @throws Error naming the first of a network's parameters that is not there */
export function requireParameters(
  kind: string,
  names: readonly string[],
  params: Record<string, unknown>,
): void {
  const missing = names.find((name) => !params[name]);
  if (missing) throw new Error(`the parameters of this ${kind} model lack ${missing}`);
}
