import * as tf from "@tensorflow/tfjs-core";
import { type Activation, activate, hardSigmoid } from "./activation.ts";
import { batchStatistics, normalise, normaliseByOwn } from "./batch-norm.ts";
import type { Weights } from "./bit-config.ts";
import { convolve } from "./convolution.ts";
import { head } from "./head.ts";
import { fansOf, xavierUniform } from "./kernel-init.ts";
import {
  type Block,
  type MobileNetV3Config,
  mobileNetV3Blocks,
  mobileNetV3Shapes,
} from "./mobilenetv3-config.ts";
import { type Network, type NetworkFamily, type Normal, requireParameters } from "./network.ts";

type Parameters = Record<string, tf.Tensor>;

/**
 * MobileNetV3 (arXiv 1905.02244) as Keras publishes it, layer by layer, for images in -1..1. In training BatchNorm
 * goes by the batch's own mean and variance, and the new running statistics are among the outputs; in inference it
 * goes by the running ones.
 *
 * @example
 * const config = { size: "small", width: 1, classes: 10, momentum: 0.999 } as const;
 * const { logits } = mobileNetV3.apply(config)(params, images, { training: false });
 */
export const mobileNetV3: NetworkFamily<MobileNetV3Config> = { shapes: mobileNetV3Shapes, init, apply };

/** A fresh model, drawn as Keras draws it: kernels uniform (Glorot), scales and variances 1, all else 0. */
function init(config: MobileNetV3Config, normal: Normal): Weights {
  return Object.fromEntries(
    Object.entries(mobileNetV3Shapes(config)).map(([name, shape]) => {
      const count = shape.reduce((product, d) => product * d, 1);
      const values = name.endsWith("/kernel")
        ? xavierUniform(name, count, fansOf(shape), normal)
        : new Float32Array(count).fill(/\/(scale|variance)$/.test(name) ? 1 : 0);
      return [name, { shape, values }];
    }),
  );
}

function apply(config: MobileNetV3Config): Network {
  const names = Object.keys(mobileNetV3Shapes(config));
  const blocks = mobileNetV3Blocks(config);
  return (params, x, { training }) => {
    requireParameters("MobileNetV3", names, params);
    const statistics: Parameters = {};
    const norm = training ? trainingNorm(params, config.momentum, statistics) : inferenceNorm(params);
    let y = tf.conv2d(x, params["conv/kernel"] as tf.Tensor4D, 2, "same");
    y = norm("conv_bn", y, "hardSwish");
    for (const block of blocks) y = invertedResidual(params, norm, block, y);
    y = norm("conv_1_bn", pointwise(params, "conv_1", y), "hardSwish");
    const pooled = tf.mean(y, [1, 2]) as tf.Tensor2D;
    const preLogits = activate(dense(params, "conv_2", pooled), "hardSwish");
    const logits = head(preLogits, params["head/kernel"]!, params["head/bias"]!);
    return training ? { preLogits, logits, statistics } : { preLogits, logits };
  };
}

/** BatchNorm by name, and what follows it. */
type Norm = (name: string, x: tf.Tensor4D, activation: Activation) => tf.Tensor4D;

function inferenceNorm(params: Parameters): Norm {
  return (name, x, activation) => {
    const running = { mean: params[`${name}/mean`]!, variance: params[`${name}/variance`]! };
    return normalise(x, params[`${name}/scale`]!, params[`${name}/bias`]!, running, activation);
  };
}

/** @param statistics where the new running statistics go */
function trainingNorm(params: Parameters, momentum: number, statistics: Parameters): Norm {
  return (name, x, activation) => {
    const own = batchStatistics(x);
    for (const part of ["mean", "variance"] as const)
      statistics[`${name}/${part}`] = tf.add(
        tf.mul(params[`${name}/${part}`]!, momentum),
        tf.mul(own[part], 1 - momentum),
      );
    return normaliseByOwn(x, params[`${name}/scale`]!, params[`${name}/bias`]!, own, activation);
  };
}

function invertedResidual(params: Parameters, norm: Norm, block: Block, x: tf.Tensor4D): tf.Tensor4D {
  const { name, activation, stride } = block;
  let y = x;
  if (params[`${name}/expand/kernel`])
    y = norm(`${name}/expand_bn`, pointwise(params, `${name}/expand`, y), activation);
  y = tf.depthwiseConv2d(y, params[`${name}/depthwise/kernel`] as tf.Tensor4D, stride, "same");
  y = norm(`${name}/depthwise_bn`, y, activation);
  if (block.squeezed) y = squeezeExcite(params, name, y);
  y = norm(`${name}/project_bn`, pointwise(params, `${name}/project`, y), "none");
  return stride === 1 && block.input === block.output ? tf.add(x, y) : y;
}

/** Weighs the channels of each image by what its channels are on average. */
function squeezeExcite(params: Parameters, name: string, x: tf.Tensor4D): tf.Tensor4D {
  const average = tf.mean(x, [1, 2]) as tf.Tensor2D;
  const squeezed = tf.relu(dense(params, `${name}/squeeze`, average));
  const gate = hardSigmoid(dense(params, `${name}/excite`, squeezed));
  return tf.mul(x, tf.reshape(gate, [x.shape[0], 1, 1, x.shape[3]]));
}

function pointwise(params: Parameters, name: string, x: tf.Tensor4D): tf.Tensor4D {
  return convolve(x, params[`${name}/kernel`] as tf.Tensor4D, 1, 0);
}

/** A 1×1 convolution of a single position: [N,I] → [N,O]. */
function dense(params: Parameters, name: string, x: tf.Tensor2D): tf.Tensor2D {
  const kernel = params[`${name}/kernel`]!;
  return tf.add(tf.matMul(x, tf.reshape(kernel, [x.shape[1], -1])), params[`${name}/bias`]!) as tf.Tensor2D;
}
