import * as tf from "@tensorflow/tfjs-core";
import type { Weights } from "./bit-config.ts";
import { convolve } from "./convolution.ts";
import { gelu } from "./gelu.ts";
import { head } from "./head.ts";
import { fansOf, lecunNormal, xavierUniform } from "./kernel-init.ts";
import { layerNorm } from "./layer-norm.ts";
import { type Network, type NetworkFamily, type Normal, requireParameters } from "./network.ts";
import { encoderBlock, patchGrid, type ViTConfig, vitShapes } from "./vit-config.ts";

type Parameters = Record<string, tf.Tensor>;

/**
 * ViT as in big_vision (`vit.py`): names, shapes and answers; images in the value range it was trained in. There is no
 * dropout, so training and inference are the same.
 *
 * @example
 * const config = { ...vitVariant("Ti"), patch: 16, positions: "learn", pool: "gap", image: [64, 64], classes: 10 };
 * const { logits } = vit.apply(config)(params, images, { training: false });
 */
export const vit: NetworkFamily<ViTConfig> = { shapes: vitShapes, init, apply };

/** A fresh model, drawn as big_vision draws it; its head is zero. */
function init(config: ViTConfig, normal: Normal): Weights {
  return Object.fromEntries(
    Object.entries(vitShapes(config)).map(([name, shape]) => {
      const count = shape.reduce((product, d) => product * d, 1);
      return [name, { shape, values: firstValues(config, name, shape, count, normal) }];
    }),
  );
}

function firstValues(
  { width }: ViTConfig,
  name: string,
  shape: number[],
  count: number,
  normal: Normal,
): Float32Array {
  const times = (deviation: number) => normal(name, count).map((z) => z * deviation);
  if (name === "embedding/kernel") return lecunNormal(name, count, count / width, normal);
  if (name === "pos_embedding") return times(1 / Math.sqrt(width));
  if (/\/Dense_[01]\/bias$/.test(name)) return times(1e-6);
  // Heads count as channels: flax draws [C, heads, C / heads] and its reverse as the matrix [C, C].
  if (name.includes("Attention") && name.endsWith("/kernel"))
    return xavierUniform(name, count, { in: width, out: width }, normal);
  if (/\/Dense_[01]\/kernel$/.test(name) || name.endsWith("/probe"))
    return xavierUniform(name, count, fansOf(shape), normal);
  return new Float32Array(count).fill(name.endsWith("/scale") ? 1 : 0);
}

function apply(config: ViTConfig): Network {
  const names = Object.keys(vitShapes(config));
  const { width, depth, heads, patch, pool } = config;
  const grid = patchGrid(config);
  return (params, x) => {
    requireParameters("ViT", names, params);
    const patches = convolve(x, params["embedding/kernel"] as tf.Tensor4D, patch, 0);
    const [images, down, across] = patches.shape;
    if (down !== grid[0] || across !== grid[1])
      throw new Error(`this ViT takes images of ${config.image.join("×")}, not ${x.shape[1]}×${x.shape[2]}`);
    let y: tf.Tensor3D = tf.reshape(tf.add(patches, params["embedding/bias"]!), [
      images,
      down * across,
      width,
    ]);
    y = tf.add(y, params.pos_embedding ?? sincosPositions(grid, width));
    if (pool === "tok") y = tf.concat([tf.tile(params.cls as tf.Tensor3D, [images, 1, 1]), y], 1);
    for (let layer = 0; layer < depth; layer++) {
      const name = encoderBlock(layer);
      const before = norm(params, `${name}/LayerNorm_0`, y);
      y = tf.add(y, attention(params, `${name}/MultiHeadDotProductAttention_0`, before, before, heads));
      y = tf.add(y, twoLayers(params, `${name}/MlpBlock_0`, norm(params, `${name}/LayerNorm_1`, y)));
    }
    y = norm(params, "Transformer/encoder_norm", y);
    const preLogits = pooled(params, config, y);
    const logits = head(preLogits, params["head/kernel"]!, params["head/bias"]!);
    return { preLogits, logits };
  };
}

/** One row a token becomes one row an image: [N,T,C] → [N,C]. */
function pooled(params: Parameters, { pool, heads, width }: ViTConfig, x: tf.Tensor3D): tf.Tensor2D {
  const images = x.shape[0];
  if (pool === "gap") return tf.mean(x, 1) as tf.Tensor2D;
  if (pool === "tok") return tf.reshape(tf.slice(x, [0, 0, 0], [images, 1, width]), [images, width]);
  const probe = tf.tile(params["MAPHead_0/probe"] as tf.Tensor3D, [images, 1, 1]);
  const seen = attention(params, "MAPHead_0/MultiHeadDotProductAttention_0", probe, x, heads);
  const rest = twoLayers(params, "MAPHead_0/MlpBlock_0", norm(params, "MAPHead_0/LayerNorm_0", seen));
  return tf.reshape(tf.add(seen, rest), [images, width]);
}

/** Attention of queries [N,Q,C] over tokens [N,T,C]. */
function attention(
  params: Parameters,
  name: string,
  queries: tf.Tensor3D,
  tokens: tf.Tensor3D,
  heads: number,
): tf.Tensor3D {
  const [images, asked, width] = queries.shape;
  const each = width / heads;
  /** [N,T,C] → [N,heads,T,C/heads] */
  const split = (part: string, x: tf.Tensor3D): tf.Tensor4D =>
    tf.transpose(
      tf.reshape(dense(params, `${name}/${part}`, x, width), [images, x.shape[1], heads, each]),
      [0, 2, 1, 3],
    );
  const query = tf.mul(split("query", queries), 1 / Math.sqrt(each));
  const weights = tf.softmax(tf.matMul(query, split("key", tokens), false, true));
  const seen = tf.transpose(tf.matMul(weights, split("value", tokens)), [0, 2, 1, 3]);
  return dense(params, `${name}/out`, tf.reshape(seen, [images, asked, width]), width);
}

function twoLayers(params: Parameters, name: string, x: tf.Tensor3D): tf.Tensor3D {
  const hidden = dense(params, `${name}/Dense_0`, x, params[`${name}/Dense_0/bias`]!.size);
  return dense(params, `${name}/Dense_1`, gelu(hidden), x.shape[2]);
}

/** The same matrix for each token; a kernel that keeps heads apart is flattened to one. */
function dense(params: Parameters, name: string, x: tf.Tensor3D, channels: number): tf.Tensor3D {
  const [images, tokens, width] = x.shape;
  const kernel = tf.reshape(params[`${name}/kernel`]!, [width, channels]);
  const product = tf.matMul(tf.reshape(x, [images * tokens, width]), kernel);
  const bias = tf.reshape(params[`${name}/bias`]!, [channels]);
  return tf.reshape(tf.add(product, bias), [images, tokens, channels]);
}

function norm(params: Parameters, name: string, x: tf.Tensor3D): tf.Tensor3D {
  return layerNorm(x, params[`${name}/scale`]!, params[`${name}/bias`]!);
}

/** Sines and cosines of x and y at width / 4 wavelengths from 2π to 2π · 10,000, as in MoCo v3: [1, down · across, width]. */
function sincosPositions([down, across]: [number, number], width: number): tf.Tensor3D {
  const waves = width / 4;
  const rows: number[] = [];
  for (let y = 0; y < down; y++)
    for (let x = 0; x < across; x++)
      for (const [wave, at] of [
        [Math.sin, x],
        [Math.cos, x],
        [Math.sin, y],
        [Math.cos, y],
      ] as const)
        for (let i = 0; i < waves; i++) rows.push(wave(at * 10_000 ** (-i / (waves - 1))));
  return tf.tensor3d(rows, [1, down * across, width]);
}
