import * as tf from "@tensorflow/tfjs-core";
import { type BitConfig, bitShapes, unitName } from "./bit-config.ts";
import { groupNormRelu } from "./group-norm.ts";
import { head } from "./head.ts";
import { maxPoolPastBorder } from "./max-pool.ts";
import { standardizedConv } from "./standardized-conv.ts";

type Parameters = Record<string, tf.Tensor>;
type Convolve = typeof standardizedConv;

/** What a forward pass leaves behind; all in the network's own float32. */
export interface BitOutputs {
  /** After the root: [N, H/4, W/4, 64·width]. */
  stem: tf.Tensor4D;
  /** Each stage's outputs by unit (`unit01`, …), before the next unit's normalisation. */
  stages: Record<string, tf.Tensor4D>[];
  /** The last stage normalised, rectified and averaged over space: [N, C]. */
  preLogits: tf.Tensor2D;
  logits: tf.Tensor2D;
}

/**
 * The BiT ResNet v2 of the paper (`bit_paper` in big_vision): weight-standardised convolutions, GroupNorm,
 * pre-activation bottleneck units. A pure function of parameters and images, in tfjs ops alone.
 *
 * @param convolve `constantConv` where the kernels among the parameters are standardised already
 * @example const { logits } = bit({ blocks: bitBlocks(50), width: 1, classes: 1000 })(params, images);
 */
export function bit(
  config: BitConfig,
  convolve: Convolve = standardizedConv,
): (params: Parameters, x: tf.Tensor4D) => BitOutputs {
  const names = Object.keys(bitShapes(config));
  return (params, x) => {
    const missing = names.find((name) => !params[name]);
    if (missing) throw new Error(`the parameters of this BiT model lack ${missing}`);
    const stem = root(convolve, params, x);
    let y = stem;
    const stages = config.blocks.map((units, stage) => {
      const outputs: Record<string, tf.Tensor4D> = {};
      for (let unit = 1; unit <= units; unit++) {
        const name = unitName(stage, unit);
        y = residualUnit(convolve, params, name, y, unit === 1 && stage > 0 ? 2 : 1);
        outputs[name.slice(name.indexOf("/") + 1)] = y;
      }
      return outputs;
    });
    const features = norm(params, "norm-pre-head", y);
    const preLogits = tf.mean(features, [1, 2]) as tf.Tensor2D;
    const logits = head(preLogits, params["head/kernel"]!, params["head/bias"]!);
    return { stem, stages, preLogits, logits };
  };
}

/** Pixels 0..255 to the range a network was trained in, as big_vision's `value_range`, to the last bit. */
export function valueRange(pixels: tf.Tensor4D, [low, high]: readonly [number, number]): tf.Tensor4D {
  return tf.add(tf.mul(over255(pixels), high - low), low);
}

/**
 * x / 255 as a division rounds it. TensorFlow's graph optimizer turns a division by a constant into a multiplication
 * by its rounded reciprocal, which is one bit off for half of the pixel values, enough to send a training run down
 * another path than the paper's code. So this multiplies, and mends by the remainder x - 255 q, which 256 q keeps exact.
 */
function over255(x: tf.Tensor4D): tf.Tensor4D {
  const q = tf.mul(x, 1 / 255);
  const remainder = tf.add(tf.sub(x, tf.mul(q, 256)), q);
  return tf.add(q, tf.mul(remainder, 1 / 255));
}

function root(convolve: Convolve, params: Parameters, x: tf.Tensor4D): tf.Tensor4D {
  const wide = convolve(x, params["root_block/conv_root/kernel"] as tf.Tensor4D, 2);
  return maxPoolPastBorder(wide);
}

function residualUnit(
  convolve: Convolve,
  params: Parameters,
  unit: string,
  x: tf.Tensor4D,
  stride: 1 | 2,
): tf.Tensor4D {
  const conv = (name: string, input: tf.Tensor4D, by: 1 | 2 = 1): tf.Tensor4D =>
    convolve(input, params[`${unit}/${name}/kernel`] as tf.Tensor4D, by);
  const active = norm(params, `${unit}/gn1`, x);
  const shortcut = params[`${unit}/conv_proj/kernel`] ? conv("conv_proj", active, stride) : x;
  let y = conv("conv1", active);
  y = conv("conv2", norm(params, `${unit}/gn2`, y), stride);
  y = conv("conv3", norm(params, `${unit}/gn3`, y));
  return tf.add(y, shortcut);
}

function norm(params: Parameters, name: string, x: tf.Tensor4D): tf.Tensor4D {
  return groupNormRelu(x, params[`${name}/scale`]!, params[`${name}/bias`]!);
}
