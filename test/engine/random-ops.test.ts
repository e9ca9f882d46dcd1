import { loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, test } from "vitest";
import { captured, eager, expectClose, floats, type Given, numbers } from "./both-ways.ts";

beforeAll(async () => {
  await loadEngine();
});

const SEQUENCES = 20;
const LENGTH = 24;

/** Whole numbers below n, the same for the same seed. */
function chooser(seed: number): (n: number) => number {
  const values = numbers(seed, 4096);
  let next = 0;
  return (n) => Math.floor(((values[next++ % values.length]! + 1) / 2) * n);
}

type Choose = (n: number) => number;
type Operation = (x: tf.Tensor, choose: Choose, pick: () => tf.Tensor) => tf.Tensor;

/** The shape of at most four dimensions that conv2d and pooling take, from any tensor. */
function asImage(x: tf.Tensor): tf.Tensor4D {
  const channels = x.shape.at(-1) ?? 1;
  const rows = x.size / channels;
  return tf.reshape(x, [1, rows, 1, channels]);
}

/** Those whose gradients tfjs has. */
const differentiable: Operation[] = [
  (x) => tf.tanh(x),
  (x) => tf.sigmoid(tf.mul(x, 3)),
  (x) => tf.relu(tf.sub(x, 0.1)),
  (x) => tf.square(x),
  (x) => tf.sqrt(tf.add(tf.abs(x), 0.5)),
  (x) => tf.exp(tf.neg(tf.abs(x))),
  (x) => tf.log1p(tf.abs(x)),
  (x) => tf.elu(x),
  (x, choose) => tf.add(x, choose(5) / 5),
  (x, choose) => tf.mul(x, numbers(choose(100), x.shape.at(-1) ?? 1).length > 0 ? 0.5 + choose(3) : 1),
  (x, _, pick) => tf.add(x, tf.mean(pick())),
  (x) => tf.sub(x, tf.mean(x, -1, true)),
  (x, choose) => tf.sum(tf.stack([x, tf.mul(x, 0.5)], choose(x.rank + 1)), choose(x.rank + 1)),
  (x) => tf.softmax(x),
  (x) => tf.logSoftmax(tf.tanh(x)),
  (x) => tf.transpose(x),
  (x) => tf.reshape(x, [x.size]),
  (x) => (x.size % 2 === 0 ? tf.reshape(x, [2, x.size / 2]) : tf.expandDims(x, 0)),
  (x, choose) =>
    tf.slice(
      x,
      x.shape.map((size) => choose(Math.ceil(size / 2))),
    ),
  (x, choose) => tf.concat([x, tf.tanh(x)], choose(x.rank)),
  (x, choose) =>
    tf.pad(
      x,
      x.shape.map((): [number, number] => [choose(2), choose(2)]),
      choose(3),
    ),
  (x, choose) => tf.gather(x, tf.tensor1d([choose(x.shape[0]!), 0, choose(x.shape[0]!)], "int32")),
  (x, choose) =>
    tf.tile(
      x,
      x.shape.map((_, i) => (i === 0 ? 1 + choose(2) : 1)),
    ),
  (x, choose) => tf.reverse(x, choose(x.rank)),
  (x) => tf.clipByValue(x, -0.7, 0.8),
  (x) => {
    const flat = tf.reshape(x, [-1, x.shape.at(-1) ?? 1]) as tf.Tensor2D;
    return tf.tanh(
      tf.matMul(flat, tf.tensor2d(numbers(flat.shape[1], flat.shape[1] * 3), [flat.shape[1], 3])),
    );
  },
  (x) => {
    const image = asImage(x);
    const filter = tf.tensor4d(numbers(7, 3 * image.shape[3] * 4), [3, 1, image.shape[3], 4]);
    return tf.tanh(tf.conv2d(image, filter, 1, "same"));
  },
  (x) => tf.maxPool(asImage(x), [2, 1], [2, 1], "same"),
  (x) => tf.avgPool(asImage(x), [3, 1], 1, "same"),
];

const everything: Operation[] = [
  ...differentiable,
  (x) => tf.tanh(tf.unstack(x, 0).reduce((sum, row) => tf.add(sum, row))),
  (x) =>
    tf.split(
      x,
      [1, x.shape.at(-1)! - 1].filter((size) => size > 0),
      -1,
    )[0]!,
  (x, _, pick) => tf.maximum(x, tf.min(pick())),
  (x) => tf.div(x, tf.add(tf.max(tf.abs(x), 0, true), 1)),
  (x, choose) => tf.stridedSlice(x, [choose(2) % x.shape[0]!], [x.shape[0]!], [2]),
  (x) => tf.where(tf.greater(x, 0.2), x, tf.mul(x, -0.5)),
  (x) => tf.mul(tf.cast(tf.less(x, 0), "float32"), x),
  (x) => tf.cast(tf.cast(tf.mul(x, 10), "int32"), "float32"),
  (x) => tf.cast(tf.argMax(x, -1), "float32"),
  (x) => tf.cumsum(x, -1),
  (x) => tf.oneHot(tf.cast(tf.mul(tf.abs(tf.reshape(x, [-1])), 3), "int32") as tf.Tensor1D, 4),
  (x) => tf.topk(x, 1).values,
];

/** LENGTH operations drawn from the list, each on a tensor drawn from those made so far. */
function sequence(seed: number, inputs: tf.Tensor[], operations: Operation[]): tf.Tensor[] {
  const choose = chooser(seed);
  const pool = [...inputs];
  const pick = (): tf.Tensor => pool[choose(pool.length)]!;
  for (let i = 0; i < LENGTH; i++) {
    const x = pick();
    const wide = x.rank === 0 ? tf.reshape(x, [1]) : x;
    const small =
      wide.size > 4096 || wide.rank > 4
        ? tf.slice(tf.reshape(wide, [wide.size]), 0, Math.min(64, wide.size))
        : wide;
    pool.push(tf.cast(operations[choose(operations.length)]!(small, choose, pick), "float32"));
  }
  return pool.slice(inputs.length);
}

describe("random sequences of operations, captured and eager", () => {
  test.each(Array.from({ length: SEQUENCES }, (_, seed) => seed))("sequence %i", (seed) => {
    const choose = chooser(1000 + seed);
    const given: Given = {
      a: floats(seed, 1 + choose(4), 2 + choose(5)),
      b: floats(seed + 50, 2 + choose(3), 2 + choose(3), 1 + choose(4)),
      c: { shape: [7], dtype: "int32", values: Int32Array.from({ length: 7 }, () => choose(9) - 4) },
      d: { shape: [2, 9], dtype: "uint8", values: Uint8Array.from({ length: 18 }, () => choose(256)) },
    };
    const fn = (inputs: Record<string, tf.Tensor>): Record<string, tf.Tensor> => {
      const start = [inputs.a!, inputs.b!, tf.cast(inputs.c!, "float32"), tf.div(inputs.d!, 255)];
      return Object.fromEntries(sequence(seed, start, everything).map((tensor, i) => [`step ${i}`, tensor]));
    };
    expectClose(captured(given, fn), eager(given, fn));
  });

  test.each(Array.from({ length: SEQUENCES / 2 }, (_, seed) => seed))("gradients of sequence %i", (seed) => {
    const given: Given = { a: floats(seed + 7, 3, 4), b: floats(seed + 70, 2, 3, 2) };
    const smooth = (inputs: tf.Tensor[]): tf.Scalar =>
      tf.addN(
        [...inputs, ...sequence(seed, inputs, differentiable)].map((tensor) => tf.mean(tf.tanh(tensor))),
      ) as tf.Scalar;
    const fn = (inputs: Record<string, tf.Tensor>): Record<string, tf.Tensor> => {
      const { value, grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) => smooth(tensors))([
        inputs.a!,
        inputs.b!,
      ]);
      return { value, a: grads[0]!, b: grads[1]! };
    };
    expectClose(captured(given, fn), eager(given, fn));
  });
});
