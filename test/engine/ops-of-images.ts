import * as tf from "@tensorflow/tfjs-core";
import { filter4, image4, type Operations, volume5 } from "./given-tensors.ts";

/** Operations of images [N,H,W,C] and volumes, and their gradients. */
export const imageOps: Operations = {
  avgPool: (t) => tf.avgPool(image4(t), 3, 2, "same"),
  "avgPool gradient": (t) => tf.grad((x) => tf.avgPool(x as tf.Tensor4D, 2, 2, "valid"))(t.image),
  avgPool3d: (t) => tf.avgPool3d(volume5(t), 2, 1, "same"),
  "avgPool3d gradient": (t) => tf.grad((x) => tf.avgPool3d(x as tf.Tensor5D, 2, 1, "same"))(t.volume),
  batchNorm: (t) =>
    tf.batchNorm(
      image4(t),
      tf.mean(t.image, [0, 1, 2]),
      tf.square(tf.mean(t.image, [0, 1, 2])),
      tf.ones([4]),
      tf.ones([4]),
    ),
  batchToSpaceND: (t) =>
    tf.batchToSpaceND(
      tf.concat([t.image, t.image]),
      [2, 2],
      [
        [0, 0],
        [0, 0],
      ],
    ),
  conv1d: (t) =>
    tf.conv1d(
      tf.reshape(t.image, [2, 64, 4]) as tf.Tensor3D,
      tf.reshape(tf.slice(t.filter, 0, 1), [3, 4, 4]) as tf.Tensor3D,
      1,
      "same",
    ),
  conv2d: (t) => tf.conv2d(image4(t), filter4(t), 2, "same"),
  "conv2d with explicit padding": (t) =>
    tf.conv2d(image4(t), filter4(t), 2, [
      [0, 0],
      [1, 1],
      [1, 1],
      [0, 0],
    ]),
  "conv2d dilated": (t) => tf.conv2d(image4(t), filter4(t), 1, "valid", "NHWC", 2),
  "conv2d gradients": (t) =>
    tf.grads((x, f) => tf.conv2d(x as tf.Tensor4D, f as tf.Tensor4D, 2, "same"))([t.image, t.filter]),
  conv2dTranspose: (t) => tf.conv2dTranspose(image4(t), filter4(t), [2, 16, 16, 4], 2, "same"),
  conv3d: (t) =>
    tf.conv3d(
      volume5(t),
      tf.reshape(tf.slice(tf.reshape(t.filter, [144]), 0, 32), [2, 2, 2, 2, 2]) as tf.Tensor5D,
      1,
      "same",
    ),
  "conv3d gradients": (t) =>
    tf.grads((x, f) => tf.conv3d(x as tf.Tensor5D, f as tf.Tensor5D, 1, "same"))([
      t.volume,
      tf.reshape(tf.slice(tf.reshape(t.filter, [144]), 0, 32), [2, 2, 2, 2, 2]),
    ]),
  "crop and resize": (t) =>
    tf.image.cropAndResize(image4(t), tf.tensor2d([[0, 0, 0.5, 0.5]]), tf.tensor1d([1], "int32"), [3, 3]),
  depthwiseConv2d: (t) => tf.depthwiseConv2d(image4(t), filter4(t), 1, "same"),
  "depthwiseConv2d gradients": (t) =>
    tf.grads((x, f) => tf.depthwiseConv2d(x as tf.Tensor4D, f as tf.Tensor4D, 1, "same"))([
      t.image,
      t.filter,
    ]),
  depthToSpace: (t) => tf.depthToSpace(image4(t), 2),
  dilation2d: (t) =>
    tf.dilation2d(
      image4(t),
      tf.reshape(tf.slice(t.filter, [0, 0, 0, 0], [3, 3, 4, 1]), [3, 3, 4]) as tf.Tensor3D,
      1,
      "same",
    ),
  "dilation2d gradients": (t) =>
    tf.grads((x, f) => tf.dilation2d(x as tf.Tensor4D, f as tf.Tensor3D, 1, "same"))([
      t.image,
      tf.reshape(tf.slice(t.filter, [0, 0, 0, 0], [3, 3, 4, 1]), [3, 3, 4]),
    ]),
  "flip left right": (t) => tf.image.flipLeftRight(image4(t)),
  "fused conv2d": (t) =>
    tf.fused.conv2d({
      x: image4(t),
      filter: filter4(t),
      strides: 1,
      pad: "same",
      bias: tf.ones([4]),
      activation: "relu",
    }),
  "fused depthwise conv2d": (t) =>
    tf.fused.depthwiseConv2d({
      x: image4(t),
      filter: filter4(t),
      strides: 1,
      pad: "same",
      bias: tf.ones([16]),
      activation: "relu6",
    }),
  localResponseNormalization: (t) => tf.localResponseNormalization(image4(t), 2),
  "local response normalization gradient": (t) =>
    tf.grad((x) => tf.localResponseNormalization(x as tf.Tensor4D, 2))(t.image),
  maxPool: (t) => tf.maxPool(image4(t), 3, 2, "same"),
  "maxPool gradient": (t) => tf.grad((x) => tf.maxPool(x as tf.Tensor4D, 3, 2, "same"))(t.image),
  maxPool3d: (t) => tf.maxPool3d(volume5(t), 2, 1, "same"),
  "maxPool3d gradient": (t) => tf.grad((x) => tf.maxPool3d(x as tf.Tensor5D, 2, 1, "same"))(t.volume),
  "resize bilinear": (t) => tf.image.resizeBilinear(image4(t), [5, 11]),
  "resize bilinear gradient": (t) =>
    tf.grad((x) => tf.image.resizeBilinear(x as tf.Tensor4D, [5, 11]))(t.image),
  "resize nearest": (t) => tf.image.resizeNearestNeighbor(image4(t), [5, 11]),
  "resize nearest gradient": (t) =>
    tf.grad((x) => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [5, 11]))(t.image),
  separableConv2d: (t) => tf.separableConv2d(image4(t), filter4(t), tf.ones([1, 1, 16, 2]), 1, "same"),
  spaceToBatchND: (t) =>
    tf.spaceToBatchND(
      t.image,
      [2, 2],
      [
        [0, 0],
        [0, 0],
      ],
    ),
};
