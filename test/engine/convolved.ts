/** A program for convolution.test.ts: the digest of convolutions and their gradients, for the threads that TensorFlow is given. */
import { createHash } from "node:crypto";
import { loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { convolve } from "../../shared/models/convolution.ts";

await loadEngine();
const sum = createHash("sha256");
for (const [side, stride, size, channels, outputs] of [
  [3, 1, 40, 64, 64],
  [3, 1, 8, 256, 128],
  [3, 2, 16, 64, 96],
  [1, 1, 40, 64, 40],
] as const) {
  const x = wave([4, size, size, channels], 0.37);
  const kernel = wave([side, side, channels, outputs], 0.11);
  const fn = (...[x, kernel]: tf.Tensor[]) =>
    convolve(x as tf.Tensor4D, kernel as tf.Tensor4D, stride, (side - 1) / 2);
  const y = fn(x, kernel);
  const gradients = tf.grads(fn)([x, kernel], y);
  for (const tensor of [y, ...gradients]) sum.update(new Uint8Array(tensor.dataSync().buffer));
}
process.stdout.write(sum.digest("hex"));

function wave(shape: [number, number, number, number], pitch: number): tf.Tensor4D {
  const size = shape.reduce((a, b) => a * b, 1);
  return tf.tensor(
    Float32Array.from({ length: size }, (_, i) => Math.sin(pitch * i) + 0.01),
    shape,
  ) as tf.Tensor4D;
}
