import type * as tf from "@tensorflow/tfjs-core";
import { floats, type Given } from "./both-ways.ts";

export type T = Record<"x" | "y" | "image" | "filter" | "volume" | "index" | "positive" | "flags", tf.Tensor>;
/** Operations by name, each of some of the tensors. */
export type Operations = Record<string, (t: T) => tf.Tensor | tf.Tensor[]>;

/** The tensors that the operations take. */
export const given: Given = {
  x: floats(1, 4, 6),
  y: floats(2, 4, 6),
  positive: {
    shape: [4, 6],
    dtype: "float32",
    values: floats(3, 4, 6).values.map((v) => Math.abs(v) / 2 + 0.1),
  },
  image: floats(4, 2, 8, 8, 4),
  filter: floats(5, 3, 3, 4, 4),
  volume: floats(6, 1, 4, 4, 4, 2),
  index: { shape: [5], dtype: "int32", values: Int32Array.of(3, 0, 2, 1, 0) },
  flags: { shape: [4, 6], dtype: "uint8", values: Uint8Array.from({ length: 24 }, (_, i) => i % 2) },
};

export const image4 = (t: T) => t.image as tf.Tensor4D;
export const filter4 = (t: T) => t.filter as tf.Tensor4D;
export const volume5 = (t: T) => t.volume as tf.Tensor5D;
export const index1 = (t: T) => t.index as tf.Tensor1D;
export const plane = (t: T) => t.x as tf.Tensor2D;
