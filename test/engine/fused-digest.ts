/** A program for kernel-library.test.ts: a digest of what all fused operations compute, several pieces of work each. */
import { createHash } from "node:crypto";
import { loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { batchStatistics, normaliseByOwn } from "../../shared/models/batch-norm.ts";
import { gelu } from "../../shared/models/gelu.ts";
import { groupNormRelu } from "../../shared/models/group-norm.ts";
import { layerNorm } from "../../shared/models/layer-norm.ts";
import { standardize } from "../../shared/models/standardized-conv.ts";
import { adam } from "../../student-trainer/learn/adam.ts";
import { optimizerUpdate } from "../../student-trainer/learn/optimizer.ts";
import { seeded, valueAndGradients } from "./fused-and-plain.ts";

await loadEngine();
const channels = 96;
const image = seeded(1, [3, 37, 29, channels], 2, 1);
const [scale, bias] = [seeded(2, [channels], 1, 1), seeded(3, [channels])];
const batchNorm = (x: tf.Tensor, a: tf.Tensor, b: tf.Tensor) =>
  normaliseByOwn(x as tf.Tensor4D, a, b, batchStatistics(x as tf.Tensor4D), "hardSwish");
const kernel = seeded(4, [3, 3, 70, 200]);
const update = optimizerUpdate({
  rule: adam({ firstMoment: "bfloat16" }),
  params: { kernel },
  grads: { kernel: seeded(5, kernel.shape) },
  slots: { "mu/kernel": seeded(6, kernel.shape), "nu/kernel": seeded(7, kernel.shape, 0.5, 0.5) },
  step: tf.scalar(3),
  multiplier: tf.scalar(0.5),
  learningRate: 0.1,
  weightDecay: 0.1,
  decays: /kernel/,
  clip: 1,
});
const results = [
  ...valueAndGradients((x, a, b) => groupNormRelu(x as tf.Tensor4D, a!, b!), [image, scale, bias]),
  ...valueAndGradients(batchNorm as (...xs: tf.Tensor[]) => tf.Tensor, [image, scale, bias]),
  ...valueAndGradients((x, a, b) => layerNorm(x!, a!, b!), [image, scale, bias]),
  ...valueAndGradients((x) => gelu(x!), [image]),
  ...valueAndGradients((x) => standardize(x as tf.Tensor4D), [kernel]),
  ...[update.params.kernel!, ...Object.values(update.slots), update.gradientNorm, update.updateNorm].map(
    (tensor) => tensor.dataSync() as Float32Array,
  ),
];
const sum = createHash("sha256");
for (const values of results) sum.update(values);
process.stdout.write(sum.digest("hex"));
