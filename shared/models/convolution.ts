import * as tf from "@tensorflow/tfjs-core";
import { fused } from "./fused.ts";

const NAME = "FunmatchConvolution";

/**
 * Convolution with a square kernel, the image padded with zeros by `pad` on every side: by the engine's own operation,
 * where it has one.
 *
 * @param x [N,H,W,I]
 * @param kernel [k,k,I,O]
 * @param constant the kernel will be the same tensor in every run, as in inference: the engine's operation lays it out
 *   once and keeps that, in as much memory again
 * @returns [N,(H+2·pad-k)/stride+1,(W+2·pad-k)/stride+1,O], rounded down
 */
export function convolve(
  x: tf.Tensor4D,
  kernel: tf.Tensor4D,
  stride: number,
  pad: number,
  constant = false,
): tf.Tensor4D {
  const own = fused(NAME);
  return own
    ? (own({ x, kernel }, { stride, pad, constant })[0] as tf.Tensor4D)
    : plainConvolve(x, kernel, stride, pad);
}

/** The same in tfjs's operations. */
export function plainConvolve(x: tf.Tensor4D, kernel: tf.Tensor4D, stride: number, pad: number): tf.Tensor4D {
  if (stride === 1 && 2 * pad === kernel.shape[0] - 1) return tf.conv2d(x, kernel, 1, "same");
  // SAME would pad a strided convolution on one side only, and the gradients of explicit padding are slow.
  return tf.conv2d(padSpatially(x, pad, 0), kernel, stride, "valid");
}

/** Pads height and width by the same amount on every side. */
export function padSpatially(x: tf.Tensor4D, by: number, value: number): tf.Tensor4D {
  if (by === 0) return x;
  const pad: [number, number] = [by, by];
  return tf.pad(x, [[0, 0], pad, pad, [0, 0]], value);
}

// Two operations, so that the gradient by the images of a batch is not computed.
tf.registerGradient({
  kernelName: NAME,
  inputsToSave: ["x", "kernel"],
  gradFunc: (gradient, saved, attributes) => {
    const [x, kernel] = saved as [tf.Tensor4D, tf.Tensor4D];
    const dy = gradient as tf.Tensor;
    const [, height, width] = x.shape;
    return {
      x: () =>
        fused(`${NAME}ByInput`)!({ dy, kernel }, { ...attributes, height, width } as tf.NamedAttrMap)[0]!,
      kernel: () =>
        fused(`${NAME}ByKernel`)!({ x, dy }, { ...attributes, side: kernel.shape[0] } as tf.NamedAttrMap)[0]!,
    };
  },
});
