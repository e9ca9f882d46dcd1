import * as tf from "@tensorflow/tfjs-core";
import { index1, type Operations, plane } from "./given-tensors.ts";

/** Operations of arrays of any kind, and some gradients. */
export const arrayOps: Operations = {
  pow: (t) => tf.pow(t.positive, t.y),
  "binary with broadcasting": (t) => tf.mul(t.x, tf.slice(t.y, [0, 0], [1, 6])),
  "int32 arithmetic": (t) => tf.add(tf.mul(t.index, t.index), tf.scalar(2, "int32")),
  addN: (t) => tf.addN([t.x, t.y, t.positive]),
  all: (t) => tf.all(tf.cast(t.flags, "bool"), 1),
  any: (t) => tf.any(tf.cast(t.flags, "bool"), 1),
  bincount: (t) => tf.bincount(index1(t), tf.ones([5]), 4),
  broadcastArgs: (t) => tf.broadcastArgs(tf.tensor1d([1, 5], "int32"), tf.slice(index1(t), 2, 2)),
  broadcastTo: (t) => tf.broadcastTo(tf.slice(t.x, [0, 0], [1, 6]), [4, 6]),
  cast: (t) => tf.cast(tf.mul(t.x, 5), "int32"),
  "cast to bool": (t) => tf.cast(t.x, "bool"),
  clipByValue: (t) => tf.clipByValue(t.x, -0.5, 0.5),
  complex: (t) =>
    tf.stack([tf.real(tf.complex(t.x, t.y)), tf.imag(tf.complex(t.x, t.y)), tf.abs(tf.complex(t.x, t.y))]),
  concat: (t) => tf.concat([t.x, t.y, t.positive], 1),
  diag: (t) => tf.diag(index1(t)),
  dot: (t) => tf.dot(plane(t), tf.transpose(plane(t))),
  einsum: (t) => tf.einsum("ij,kj->ik", t.x, t.y),
  "elu gradient": (t) => tf.grad((x) => tf.elu(x))(t.x),
  expandDims: (t) => tf.expandDims(t.x, 1),
  fft: (t) => tf.stack([tf.real(tf.fft(tf.complex(t.x, t.y))), tf.imag(tf.ifft(tf.complex(t.x, t.y)))]),
  rfft: (t) => tf.real(tf.spectral.rfft(t.x)),
  fill: (t) => tf.add(t.x, tf.fill([4, 6], 3)),
  "fused matMul": (t) =>
    tf.fused.matMul({ a: t.x, b: t.y, transposeB: true, bias: tf.ones([4]), activation: "relu" }),
  gather: (t) => tf.gather(t.x, t.index),
  "gather along an axis": (t) => tf.gather(t.x, tf.tensor1d([5, 0, 1], "int32"), 1),
  "gather gradient": (t) => tf.grad((x) => tf.gather(x, t.index as tf.Tensor1D))(t.x),
  gatherND: (t) => tf.gatherND(t.x, tf.reshape(tf.slice(t.index, 0, 4), [2, 2])),
  linspace: (t) => tf.add(t.x, tf.linspace(0, 1, 6)),
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
  reshape: (t) => tf.reshape(t.x, [3, 8]),
  reverse: (t) => tf.reverse(t.x, 1),
  scatterND: (t) => tf.scatterND(tf.reshape(t.index, [5, 1]), tf.ones([5]), [4]),
  slice: (t) => tf.slice(t.x, [1, 2], [2, 3]),
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
