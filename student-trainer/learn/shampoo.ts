import * as tf from "@tensorflow/tfjs-core";
import { adam } from "./adam.ts";
import { type Rule, type Slot, zeros } from "./rule.ts";

const B2 = 0.999;

/**
 * Shampoo (arXiv 1802.09568, 2002.09018) with Adam's size: a parameter is a matrix [all other axes, last axis], cut
 * into blocks. Of each, `left` and `right` are running means of `G Gᵀ` and `Gᵀ G`; the first moment times their
 * inverse fourth roots from both sides is the direction, and the length, over the whole parameter, is that of Adam's
 * update (grafting). Vectors, such as biases, go by Adam alone.
 *
 * The roots are identities until they are first taken (`inverse-root.ts`).
 *
 * @param o.blockSize longest side of a block
 */
export function shampoo(o: { blockSize: number; rootsEverySteps: number }): Rule {
  const grafted = adam({ firstMoment: "float32" });
  return {
    slots(shape) {
      const blocks = blocksOf(shape, o.blockSize);
      if (!blocks) return grafted.slots(shape);
      const [left, right] = [blocks.height, blocks.width].map((side) => [blocks.count, side, side]);
      return {
        ...grafted.slots(shape),
        left: zeros(left!),
        right: zeros(right!),
        rootLeft: identities(left!),
        rootRight: identities(right!),
      };
    },
    at(rate, step) {
      const graft = grafted.at(rate, step);
      return (gradient, [mu, nu, left, right, rootLeft, rootRight]) => {
        const adams = graft(gradient, [mu!, nu!]);
        const blocks = blocksOf(gradient.shape, o.blockSize);
        if (!blocks) return adams;
        const g = blocks.cut(gradient);
        const mean = (kept: tf.Tensor, product: tf.Tensor) =>
          tf.add(tf.mul(kept, B2), tf.mul(product, 1 - B2));
        const moment = blocks.cut(adams.slots[0]!);
        const direction = blocks.join(tf.matMul(tf.matMul(rootLeft!, moment), rootRight!));
        const scale = tf.div(tf.norm(adams.update), tf.maximum(tf.norm(direction), 1e-30));
        return {
          update: tf.mul(direction, scale),
          slots: [
            ...adams.slots,
            mean(left!, tf.matMul(g, g, false, true)),
            mean(right!, tf.matMul(g, g, true, false)),
            rootLeft!,
            rootRight!,
          ],
        };
      };
    },
    roots: { everySteps: o.rootsEverySteps, of: { rootLeft: "left", rootRight: "right" } },
  };
}

/** How a parameter of this shape is cut into blocks [count, height, width], padded with zeros; none of a vector. */
function blocksOf(shape: readonly number[], blockSize: number) {
  const columns = shape.at(-1) ?? 1;
  const rows = shape.reduce((product, side) => product * side, 1) / columns;
  if (rows < 2 || columns < 2) return undefined;
  const [height, width] = [Math.min(rows, blockSize), Math.min(columns, blockSize)];
  const [down, across] = [Math.ceil(rows / height), Math.ceil(columns / width)];
  return {
    ...{ count: down * across, height, width },
    cut(x: tf.Tensor): tf.Tensor {
      const matrix = tf.reshape(x, [rows, columns]) as tf.Tensor2D;
      const padded = tf.pad(matrix, [
        [0, down * height - rows],
        [0, across * width - columns],
      ]);
      const split = tf.transpose(tf.reshape(padded, [down, height, across, width]), [0, 2, 1, 3]);
      return tf.reshape(split, [down * across, height, width]);
    },
    join(blocks: tf.Tensor): tf.Tensor {
      const split = tf.transpose(tf.reshape(blocks, [down, across, height, width]), [0, 2, 1, 3]);
      const padded = tf.reshape(split, [down * height, across * width]);
      return tf.reshape(tf.slice(padded, [0, 0], [rows, columns]), [...shape]);
    },
  };
}

function identities(shape: number[]): Slot {
  const slot = zeros(shape);
  const side = shape[2]!;
  for (let i = 0; i < slot.values.length; i++)
    if (i % side === Math.floor(i / side) % side) slot.values[i] = 1;
  return slot;
}
