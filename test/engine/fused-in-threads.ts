/** A program for kernel-library.test.ts: what three threads of one process say of our operations, and compute by them. */
import { once } from "node:events";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { captureStep, loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { groupNormRelu } from "../../shared/models/group-norm.ts";

export interface Said {
  kernels: string;
  y: number[];
  /** Twice the smallest number there is: 0 in a thread that treats subnormal numbers as zero. */
  subnormal: number;
}

const { kernels } = await loadEngine();
const step = captureStep({
  inputs: { x: { shape: [1, 2, 2, 64], dtype: "float32" } },
  fn: ({ x }) => ({
    outputs: { y: groupNormRelu(x as tf.Tensor4D, tf.ones([1, 1, 1, 64]), tf.zeros([1, 1, 1, 64])) },
  }),
});
const { y } = step.run({ x: Float32Array.from({ length: 256 }, (_, i) => (i * i) % 7) });
const said: Said = { kernels, y: [...y!.slice(0, 8)], subnormal: Number.MIN_VALUE * 2 };
if (isMainThread) {
  const threads = [1, 2].map(async () => (await once(new Worker(new URL(import.meta.url)), "message"))[0]);
  process.stdout.write(JSON.stringify([said, ...(await Promise.all(threads))]));
} else {
  parentPort?.postMessage(said);
}
