import type { Weights } from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";
import { numbers } from "../engine/both-ways.ts";

/**
 * Parameters that their shapes and names stand for: float32, the same as `seeded_weights.py` makes, whose words say
 * how. So golden files hold inputs and answers only.
 */
export function seededWeights(shapes: Record<string, number[]>): Weights {
  const names = Object.keys(shapes).sort();
  return Object.fromEntries(
    names.map((name, seed) => {
      const shape = shapes[name]!;
      const drawn = numbers(seed, size(shape));
      return [name, { shape, values: drawn.map((u) => placed(u, name, shape)) }];
    }),
  );
}

function placed(u: number, name: string, shape: number[]): number {
  if (name.endsWith("/kernel")) {
    const fanIn = size(name.endsWith("depthwise/kernel") ? shape.slice(0, 2) : shape.slice(0, -1));
    return u * Math.sqrt(3 / fanIn);
  }
  return /\/(scale|variance)$/.test(name) ? 1 + u / 2 : u / 5;
}

/** Weights as tensors. */
export function tensorsOf(weights: Weights): Record<string, tf.Tensor> {
  return Object.fromEntries(
    Object.entries(weights).map(([name, { shape, values }]) => [name, tf.tensor(values, shape)]),
  );
}

function size(shape: number[]): number {
  return shape.reduce((product, d) => product * d, 1);
}
