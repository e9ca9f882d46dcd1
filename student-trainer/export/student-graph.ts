import { type FrozenGraph, freezeGraph } from "@funmatch/engine";
import { type Network, valueRange, type Weights } from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";

/**
 * The student in inference as a graph for any batch: `images` uint8 [N, R, R, 3], RGB, 0..255 → `logits` and
 * `probabilities`, float32 [N, K]. Only after `loadEngine()`.
 */
export function studentGraph(o: { network: Network; weights: Weights; resolution: number }): FrozenGraph {
  const params = Object.fromEntries(
    Object.entries(o.weights).map(([name, { shape, values }]) => [name, tf.tensor(values, [...shape])]),
  );
  try {
    return freezeGraph({
      input: { name: "images", shape: [o.resolution, o.resolution, 3], dtype: "uint8" },
      fn: (images) => {
        const { logits } = o.network(params, valueRange(images as tf.Tensor4D, [-1, 1]), { training: false });
        return { logits, probabilities: tf.softmax(logits) };
      },
    });
  } finally {
    tf.dispose(params);
  }
}
