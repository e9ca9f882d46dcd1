import type * as tf from "@tensorflow/tfjs-core";
import { bit } from "./bit.ts";
import type { Weights } from "./bit-config.ts";
import type { LoadedNetwork } from "./load-network.ts";
import { networkOf } from "./networks.ts";
import { constantConv, EPSILON } from "./standardized-conv.ts";

/** A network that is not trained any more: whatever of its parameters alone can be computed is computed once. */
export interface Inference {
  parameters: Weights;
  /** Logits [N,K] of images [N,H,W,3] that are in the network's value range. */
  logits(parameters: Record<string, tf.Tensor>, images: tf.Tensor4D): tf.Tensor2D;
}

/** Prepares a network for inference. A BiT's kernels are standardised here instead of in every pass. */
export function inferenceOf({ config, weights }: LoadedNetwork): Inference {
  if (config.kind !== "bit") {
    const network = networkOf(config).apply();
    return { parameters: weights, logits: (p, images) => network(p, images, { training: false }).logits };
  }
  const network = bit(config, constantConv);
  return { parameters: withStandardKernels(weights), logits: (p, images) => network(p, images).logits };
}

function withStandardKernels(weights: Weights): Weights {
  return Object.fromEntries(
    Object.entries(weights).map(([name, { shape, values }]) => {
      const isKernel = name.endsWith("/kernel") && shape.length === 4;
      return [name, { shape, values: isKernel ? standardized(values, shape[3]!) : values }];
    }),
  );
}

/** What `standardize` computes, with sums in float64: mean 0 and variance 1 for each of the last axis's channels. */
export function standardized(kernel: Float32Array, channels: number): Float32Array {
  const rows = kernel.length / channels;
  const mean = new Float64Array(channels);
  const square = new Float64Array(channels);
  for (let i = 0; i < kernel.length; ) for (let c = 0; c < channels; c++) mean[c]! += kernel[i++]!;
  for (let c = 0; c < channels; c++) mean[c]! /= rows;
  for (let i = 0; i < kernel.length; )
    for (let c = 0; c < channels; c++) square[c]! += (kernel[i++]! - mean[c]!) ** 2;
  const inverse = square.map((sum) => 1 / Math.sqrt(sum / rows + EPSILON));
  const standard = new Float32Array(kernel.length);
  for (let i = 0; i < kernel.length; )
    for (let c = 0; c < channels; c++, i++) standard[i] = (kernel[i]! - mean[c]!) * inverse[c]!;
  return standard;
}
