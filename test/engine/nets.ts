import * as tf from "@tensorflow/tfjs-core";
import { numbers } from "./both-ways.ts";

/** Small networks with a loss, in plain tfjs: parameters, and what they make of a batch of images and labels. */
export interface Net {
  params: Record<string, { shape: number[]; values: Float32Array }>;
  loss(params: Record<string, tf.Tensor>, images: tf.Tensor4D, labels: tf.Tensor1D): tf.Scalar;
}

export const BATCH = 4;
export const SIDE = 8;
export const CLASSES = 3;

function weights(seed: number, shape: number[], scale: number): Net["params"][string] {
  const count = shape.reduce((a, b) => a * b, 1);
  return { shape, values: numbers(seed, count).map((value) => value * scale) };
}

function crossEntropy(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar {
  return tf.mean(tf.neg(tf.sum(tf.mul(tf.oneHot(labels, CLASSES), tf.logSoftmax(logits)), -1))) as tf.Scalar;
}

const convParams = {
  filter1: weights(1, [3, 3, 3, 8], 0.3),
  filter2: weights(2, [3, 3, 8, 8], 0.2),
  head: weights(3, [8, CLASSES], 0.5),
  bias: weights(4, [CLASSES], 0.1),
};

const normParams = { ...convParams, scale: weights(5, [8], 0.5), offset: weights(6, [8], 0.5) };

type Normalise = (x: tf.Tensor4D, params: Record<string, tf.Tensor>) => tf.Tensor4D;

function residualNet(normalise: Normalise): Net["loss"] {
  return (params, images, labels) => {
    const x = tf.conv2d(
      tf.sub(tf.div(images, 127.5), 1) as tf.Tensor4D,
      params.filter1 as tf.Tensor4D,
      1,
      "same",
    );
    const y = tf.conv2d(tf.relu(normalise(x, params)), params.filter2 as tf.Tensor4D, 1, "same");
    const pooled = tf.mean(tf.maxPool(tf.add(x, y), 2, 2, "same"), [1, 2]) as tf.Tensor2D;
    return crossEntropy(
      tf.add(tf.matMul(pooled, params.head as tf.Tensor2D), params.bias!) as tf.Tensor2D,
      labels,
    );
  };
}

/** With the batch's own statistics, as in training. */
const batchNorm: Normalise = (x, { scale, offset }) => {
  const { mean, variance } = tf.moments(x, [0, 1, 2]);
  return tf.batchNorm(
    x,
    mean as tf.Tensor1D,
    variance as tf.Tensor1D,
    offset as tf.Tensor1D,
    scale as tf.Tensor1D,
    1e-5,
  ) as tf.Tensor4D;
};

const groupNorm: Normalise = (x, { scale, offset }) => {
  const [n, h, w, c] = x.shape;
  const groups = tf.reshape(x, [n, h * w, 2, c / 2]);
  const { mean, variance } = tf.moments(groups, [1, 3], true);
  const normal = tf.mul(tf.sub(groups, mean), tf.rsqrt(tf.add(variance, 1e-5)));
  return tf.add(tf.mul(tf.reshape(normal, x.shape), scale!), offset!) as tf.Tensor4D;
};

export const nets: Record<string, Net> = {
  "a conv net": { params: convParams, loss: residualNet((x) => x) },
  "a BatchNorm net": { params: normParams, loss: residualNet(batchNorm) },
  "a GroupNorm net": { params: normParams, loss: residualNet(groupNorm) },
};

/** Loss and gradients, by parameter name. */
export function lossAndGrads(
  net: Net,
  params: Record<string, tf.Tensor>,
  images: tf.Tensor,
  labels: tf.Tensor,
): { loss: tf.Tensor; grads: Record<string, tf.Tensor> } {
  const names = Object.keys(params);
  const named = (tensors: tf.Tensor[]): Record<string, tf.Tensor> =>
    Object.fromEntries(tensors.map((t, i) => [names[i]!, t]));
  const run = tf.valueAndGrads((...tensors: tf.Tensor[]) =>
    net.loss(named(tensors), images as tf.Tensor4D, labels as tf.Tensor1D),
  );
  const { value, grads } = run(Object.values(params));
  return { loss: value, grads: named(grads) };
}

/** One Adam step with bias correction and clipping by global norm; `t` counts from 1. */
export function adam(
  params: Record<string, tf.Tensor>,
  moments: Record<string, tf.Tensor>,
  grads: Record<string, tf.Tensor>,
  t: tf.Tensor,
): { params: Record<string, tf.Tensor>; moments: Record<string, tf.Tensor> } {
  const norm = tf.sqrt(tf.addN(Object.values(grads).map((g) => tf.sum(tf.square(g)))));
  const clip = tf.minimum(1, tf.div(1, norm));
  const next: ReturnType<typeof adam> = { params: {}, moments: {} };
  for (const [name, param] of Object.entries(params)) {
    const g = tf.mul(grads[name]!, clip);
    const m = tf.add(tf.mul(moments[`m/${name}`]!, 0.9), tf.mul(g, 0.1));
    const v = tf.add(tf.mul(moments[`v/${name}`]!, 0.999), tf.mul(tf.square(g), 0.001));
    const mHat = tf.div(m, tf.sub(1, tf.pow(0.9, t)));
    const vHat = tf.div(v, tf.sub(1, tf.pow(0.999, t)));
    next.params[name] = tf.sub(param, tf.mul(tf.div(mHat, tf.add(tf.sqrt(vHat), 1e-8)), 0.01));
    next.moments[`m/${name}`] = m;
    next.moments[`v/${name}`] = v;
  }
  return next;
}

/** A batch of images (0..255) and labels for one step. */
export function batch(step: number): { images: Uint8Array; labels: Int32Array } {
  const images = Uint8Array.from(numbers(step + 100, BATCH * SIDE * SIDE * 3), (value) => (value + 1) * 127);
  return { images, labels: Int32Array.from({ length: BATCH }, (_, i) => (i + step) % CLASSES) };
}

export const batchInputs = {
  images: { shape: [BATCH, SIDE, SIDE, 3], dtype: "uint8" },
  labels: { shape: [BATCH], dtype: "int32" },
} as const;
