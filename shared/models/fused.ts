import * as tf from "@tensorflow/tfjs-core";

/** An operation that the engine brings beside tfjs's own; it has no gradient unless one is registered. */
export type Fused = (inputs: Record<string, tf.Tensor>, attributes?: tf.NamedAttrMap) => tf.Tensor[];

/**
 * The named operation of the present backend, or undefined where it has none (another backend, a GPU, an engine
 * that was installed without a compiler): then the same is computed in tfjs's operations.
 */
export function fused(name: string): Fused | undefined {
  if (tf.getKernel(name, tf.getBackend()) === undefined) return undefined;
  return (inputs, attributes = {}) =>
    tf.engine().runKernel(name, inputs as unknown as tf.NamedTensorMap, attributes) as tf.Tensor[];
}
