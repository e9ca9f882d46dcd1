import { type BitConfig, bitShapes, type Network } from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";

type Parameters = Record<string, tf.Tensor>;

/**
 * The same BiT ResNet v2 as a user of tfjs writes it down: `tf.moments`, explicit padding, gradients left to tfjs.
 * The peer of `bit()`, whose norms, paddings and gradients were rewritten for speed.
 */
export function plainBit(config: BitConfig): Network {
  const shapes = bitShapes(config);
  const conv = (params: Parameters, name: string, x: tf.Tensor4D, stride: 1 | 2): tf.Tensor4D => {
    const pad = ((shapes[name]?.[0] as number) - 1) / 2;
    const kernel = standardised(params[name] as tf.Tensor4D);
    return tf.conv2d(padded(x, pad, 0), kernel, stride, "valid");
  };
  const norm = (params: Parameters, name: string, x: tf.Tensor4D): tf.Tensor4D =>
    tf.relu(groupNorm(x, params[`${name}/scale`] as tf.Tensor, params[`${name}/bias`] as tf.Tensor));

  return (params, x) => {
    const root = conv(params, "root_block/conv_root/kernel", x, 2);
    let y = tf.maxPool(padded(root, 1, Number.NEGATIVE_INFINITY), 3, 2, "valid");
    for (const [stage, units] of config.blocks.entries()) {
      for (let unit = 1; unit <= units; unit++) {
        const name = `block${stage + 1}/unit${String(unit).padStart(2, "0")}`;
        const stride = unit === 1 && stage > 0 ? 2 : 1;
        const active = norm(params, `${name}/gn1`, y);
        const projected = `${name}/conv_proj/kernel` in shapes;
        const shortcut = projected ? conv(params, `${name}/conv_proj/kernel`, active, stride) : y;
        let z = conv(params, `${name}/conv1/kernel`, active, 1);
        z = conv(params, `${name}/conv2/kernel`, norm(params, `${name}/gn2`, z), stride);
        z = conv(params, `${name}/conv3/kernel`, norm(params, `${name}/gn3`, z), 1);
        y = tf.add(z, shortcut);
      }
    }
    const preLogits = tf.mean<tf.Tensor2D>(norm(params, "norm-pre-head", y), [1, 2]);
    const kernel = params["head/kernel"] as tf.Tensor2D;
    return { preLogits, logits: tf.add(tf.matMul(preLogits, kernel), params["head/bias"] as tf.Tensor) };
  };
}

/** tfjs-node takes no explicit padding in a convolution. */
function padded(x: tf.Tensor4D, by: number, value: number): tf.Tensor4D {
  return by === 0
    ? x
    : tf.pad(
        x,
        [
          [0, 0],
          [by, by],
          [by, by],
          [0, 0],
        ],
        value,
      );
}

function standardised(kernel: tf.Tensor4D): tf.Tensor4D {
  const { mean, variance } = tf.moments(kernel, [0, 1, 2], true);
  return tf.div(tf.sub(kernel, mean), tf.sqrt(tf.add(variance, 1e-10)));
}

function groupNorm(x: tf.Tensor4D, scale: tf.Tensor, bias: tf.Tensor): tf.Tensor4D {
  const [n, height, width, channels] = x.shape;
  const groups = tf.reshape(x, [n, height, width, 32, channels / 32]);
  const { mean, variance } = tf.moments(groups, [1, 2, 4], true);
  const normal = tf.div(tf.sub(groups, mean), tf.sqrt(tf.add(variance, 1e-5)));
  return tf.add(tf.mul(tf.reshape(normal, x.shape), scale), bias);
}
