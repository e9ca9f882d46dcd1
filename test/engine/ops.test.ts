import { loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { captured, eager, expectClose, floats, type Given } from "./both-ways.ts";

type T = Record<"x" | "y" | "image" | "filter" | "volume" | "index" | "positive" | "flags", tf.Tensor>;

beforeAll(async () => {
  await loadEngine();
});

/** The tensors that the operations below take. */
const given: Given = {
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

const image4 = (t: T) => t.image as tf.Tensor4D;
const filter4 = (t: T) => t.filter as tf.Tensor4D;
const volume5 = (t: T) => t.volume as tf.Tensor5D;
const index1 = (t: T) => t.index as tf.Tensor1D;
const plane = (t: T) => t.x as tf.Tensor2D;

/** Elementwise functions of one tensor, on x; those that need it, on a positive tensor. */
const unary = [
  ..."abs acos asin atan ceil cos cosh elu erf exp expm1 floor isFinite isInf isNaN leakyRelu logSigmoid neg relu relu6 round selu".split(
    " ",
  ),
  ..."sigmoid sign sin sinh softplus sqrt square step tan tanh asinh atanh zerosLike onesLike".split(" "),
];
const positive = "acosh log log1p reciprocal rsqrt sqrt".split(" ");
const binary =
  "add sub mul div divNoNan floorDiv maximum minimum mod squaredDifference atan2 equal greater greaterEqual less lessEqual notEqual prelu".split(
    " ",
  );
const reductions = "sum mean max min prod argMax argMin logSumExp cumsum cumprod softmax logSoftmax".split(
  " ",
);

const call = (name: string, ...args: unknown[]): tf.Tensor =>
  (tf as unknown as Record<string, (...a: unknown[]) => tf.Tensor>)[name]!(...args);

const others: Record<string, (t: T) => tf.Tensor | tf.Tensor[]> = {
  pow: (t) => tf.pow(t.positive, t.y),
  "binary with broadcasting": (t) => tf.mul(t.x, tf.slice(t.y, [0, 0], [1, 6])),
  "int32 arithmetic": (t) => tf.add(tf.mul(t.index, t.index), tf.scalar(2, "int32")),
  addN: (t) => tf.addN([t.x, t.y, t.positive]),
  all: (t) => tf.all(tf.cast(t.flags, "bool"), 1),
  any: (t) => tf.any(tf.cast(t.flags, "bool"), 1),
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
  bincount: (t) => tf.bincount(index1(t), tf.ones([5]), 4),
  broadcastArgs: (t) => tf.broadcastArgs(tf.tensor1d([1, 5], "int32"), tf.slice(index1(t), 2, 2)),
  broadcastTo: (t) => tf.broadcastTo(tf.slice(t.x, [0, 0], [1, 6]), [4, 6]),
  cast: (t) => tf.cast(tf.mul(t.x, 5), "int32"),
  "cast to bool": (t) => tf.cast(t.x, "bool"),
  clipByValue: (t) => tf.clipByValue(t.x, -0.5, 0.5),
  complex: (t) =>
    tf.stack([tf.real(tf.complex(t.x, t.y)), tf.imag(tf.complex(t.x, t.y)), tf.abs(tf.complex(t.x, t.y))]),
  concat: (t) => tf.concat([t.x, t.y, t.positive], 1),
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
  diag: (t) => tf.diag(index1(t)),
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
  dot: (t) => tf.dot(plane(t), tf.transpose(plane(t))),
  einsum: (t) => tf.einsum("ij,kj->ik", t.x, t.y),
  "elu gradient": (t) => tf.grad((x) => tf.elu(x))(t.x),
  expandDims: (t) => tf.expandDims(t.x, 1),
  fft: (t) => tf.stack([tf.real(tf.fft(tf.complex(t.x, t.y))), tf.imag(tf.ifft(tf.complex(t.x, t.y)))]),
  rfft: (t) => tf.real(tf.spectral.rfft(t.x)),
  fill: (t) => tf.add(t.x, tf.fill([4, 6], 3)),
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
  "fused matMul": (t) =>
    tf.fused.matMul({ a: t.x, b: t.y, transposeB: true, bias: tf.ones([4]), activation: "relu" }),
  gather: (t) => tf.gather(t.x, t.index),
  "gather along an axis": (t) => tf.gather(t.x, tf.tensor1d([5, 0, 1], "int32"), 1),
  "gather gradient": (t) => tf.grad((x) => tf.gather(x, t.index as tf.Tensor1D))(t.x),
  gatherND: (t) => tf.gatherND(t.x, tf.reshape(tf.slice(t.index, 0, 4), [2, 2])),
  linspace: (t) => tf.add(t.x, tf.linspace(0, 1, 6)),
  localResponseNormalization: (t) => tf.localResponseNormalization(image4(t), 2),
  "local response normalization gradient": (t) =>
    tf.grad((x) => tf.localResponseNormalization(x as tf.Tensor4D, 2))(t.image),
  "logical operations": (t) => {
    const [a, b] = [tf.greater(t.x, 0), tf.greater(t.y, 0)];
    return tf.stack(
      [tf.logicalAnd(a, b), tf.logicalOr(a, b), tf.logicalNot(a), tf.logicalXor(a, b)].map((f) =>
        tf.cast(f, "int32"),
      ),
    );
  },
  matMul: (t) => tf.matMul(t.x, t.y, false, true),
  "matMul in batches": (t) => tf.matMul(t.image, t.image, true, false),
  maxPool: (t) => tf.maxPool(image4(t), 3, 2, "same"),
  "maxPool gradient": (t) => tf.grad((x) => tf.maxPool(x as tf.Tensor4D, 3, 2, "same"))(t.image),
  maxPool3d: (t) => tf.maxPool3d(volume5(t), 2, 1, "same"),
  "maxPool3d gradient": (t) => tf.grad((x) => tf.maxPool3d(x as tf.Tensor5D, 2, 1, "same"))(t.volume),
  mirrorPad: (t) =>
    tf.mirrorPad(
      t.x,
      [
        [1, 1],
        [2, 2],
      ],
      "reflect",
    ),
  moments: (t) => Object.values(tf.moments(t.image, [0, 1, 2])),
  norm: (t) => tf.norm(t.x),
  oneHot: (t) => tf.oneHot(index1(t), 4),
  pad: (t) =>
    tf.pad(
      t.x,
      [
        [1, 0],
        [0, 2],
      ],
      7,
    ),
  range: (t) => tf.add(t.x, tf.range(0, 6)),
  "resize bilinear": (t) => tf.image.resizeBilinear(image4(t), [5, 11]),
  "resize bilinear gradient": (t) =>
    tf.grad((x) => tf.image.resizeBilinear(x as tf.Tensor4D, [5, 11]))(t.image),
  "resize nearest": (t) => tf.image.resizeNearestNeighbor(image4(t), [5, 11]),
  "resize nearest gradient": (t) =>
    tf.grad((x) => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [5, 11]))(t.image),
  reshape: (t) => tf.reshape(t.x, [3, 8]),
  reverse: (t) => tf.reverse(t.x, 1),
  scatterND: (t) => tf.scatterND(tf.reshape(t.index, [5, 1]), tf.ones([5]), [4]),
  separableConv2d: (t) => tf.separableConv2d(image4(t), filter4(t), tf.ones([1, 1, 16, 2]), 1, "same"),
  slice: (t) => tf.slice(t.x, [1, 2], [2, 3]),
  spaceToBatchND: (t) =>
    tf.spaceToBatchND(
      t.image,
      [2, 2],
      [
        [0, 0],
        [0, 0],
      ],
    ),
  sparseToDense: (t) =>
    tf.sparseToDense(
      tf.add(tf.range(0, 4, 1, "int32"), tf.slice(t.index, 1, 1)),
      tf.tensor1d([1, 2, 3, 4]),
      [5],
      0,
    ),
  split: (t) => tf.split(t.x, [1, 2, 3], 1),
  squeeze: (t) => tf.squeeze(tf.expandDims(t.x, 0)),
  stack: (t) => tf.stack([t.x, t.y], 2),
  staticRegexReplace: (t) => {
    tf.string.staticRegexReplace(tf.tensor1d(["string tensors cannot leave the graph"]), "s", "z");
    return t.index;
  },
  stridedSlice: (t) => tf.stridedSlice(t.x, [0, 1], [4, 6], [2, 2]),
  "stridedSlice that drops an axis": (t) => tf.stridedSlice(t.x, [1, 0], [2, 6], [1, 1], 0, 0, 0, 0, 1),
  tensorScatterUpdate: (t) =>
    tf.tensorScatterUpdate(t.x, tf.reshape(tf.slice(t.index, 0, 2), [2, 1]), tf.ones([2, 6])),
  tile: (t) => tf.tile(t.x, [2, 3]),
  topk: (t) => Object.values(tf.topk(t.x, 3)),
  transpose: (t) => tf.transpose(t.image, [3, 0, 2, 1]),
  unsortedSegmentSum: (t) => tf.unsortedSegmentSum(tf.slice(tf.reshape(t.x, [24]), 0, 5), index1(t), 4),
  unstack: (t) => tf.unstack(t.x, 1),
  where: (t) => tf.where(tf.greater(t.x, 0), t.x, t.y),
  "softmax cross entropy and its gradient": (t) => {
    const { value, grads } = tf.valueAndGrads((x, y) =>
      tf.mean(tf.neg(tf.sum(tf.mul(tf.softmax(y), tf.logSoftmax(x)), -1))),
    )([t.x, t.y]);
    return [value, ...grads];
  },
};

function check(fn: (t: T) => tf.Tensor | tf.Tensor[]): void {
  const named = (inputs: Record<string, tf.Tensor>): Record<string, tf.Tensor> => {
    const results = [fn(inputs as T)].flat();
    return Object.fromEntries(results.map((result, i) => [`${i}`, result]));
  };
  expectClose(captured(given, named), eager(given, named));
}

describe("captured equals eager:", () => {
  test.each(unary)("%s", (name) => check((t) => call(name, t.x)));
  test.each(positive)("%s of positive numbers", (name) => {
    const shift = name === "acosh" ? 1 : 0;
    check((t) => call(name, tf.add(t.positive, shift)));
  });
  test.each(binary)("%s", (name) => check((t) => call(name, t.x, t.y)));
  test.each(reductions)("%s", (name) => check((t) => call(name, t.x, 1)));
  test.each(Object.entries(others))("%s", (_, fn) => check(fn));
});

test("these, and the few in refusals.test.ts, are all kernels of the backend", async () => {
  const ran = new Set<string>();
  const note = async (fn: (t: T) => unknown): Promise<void> => {
    const inputs = Object.entries(given).map(([name, { shape, dtype, values }]) => [
      name,
      tf.tensor(values, [...shape], dtype === "uint8" ? "float32" : dtype),
    ]);
    const { kernelNames } = await tf.profile(() => tf.tidy(() => void fn(Object.fromEntries(inputs))));
    for (const name of kernelNames) ran.add(name);
    for (const [, tensor] of inputs) (tensor as tf.Tensor).dispose();
  };
  for (const name of unary) await note((t) => call(name, t.x));
  for (const name of positive) await note((t) => call(name, tf.add(t.positive, 1)));
  for (const name of binary) await note((t) => call(name, t.x, t.y));
  for (const name of reductions) await note((t) => call(name, t.x, 1));
  for (const fn of Object.values(others)) await note(fn);
  const kernels = tf.getKernelsForBackend("tensorflow").map((kernel) => kernel.kernelName);
  const all = kernels.filter((name) => !name.startsWith("Funmatch")); // each of those has a test file of its own
  const elsewhere = [
    "Multinomial",
    "NonMaxSuppressionV3",
    "NonMaxSuppressionV4",
    "NonMaxSuppressionV5",
    "Unique",
  ];
  expect(all.filter((name) => !ran.has(name)).sort()).toEqual(elsewhere);
});
