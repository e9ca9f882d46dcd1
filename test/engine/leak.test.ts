import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { captureStep, loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { numbers } from "./both-ways.ts";
import { adam, batch, batchInputs, lossAndGrads, type Net } from "./nets.ts";

beforeAll(async () => {
  await loadEngine();
});

const STEPS = 10_000;

/** Small enough for thousands of steps a second. */
const net: Net = {
  params: { w: { shape: [8 * 8 * 3, 3], values: numbers(1, 8 * 8 * 3 * 3).map((v) => v / 100) } },
  loss: ({ w }, images, labels) => {
    const logits = tf.matMul(tf.reshape(tf.div(images, 255), [4, -1]), w as tf.Tensor2D);
    return tf.mean(tf.neg(tf.sum(tf.mul(tf.oneHot(labels, 3), tf.logSoftmax(logits)), -1)));
  },
};

/** Resident memory after a full garbage collection, in bytes. */
function resident(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let i = 0; i < 3; i++) collect();
  return process.memoryUsage.rss();
}

const counts = () => ({
  tensors: tf.memory().numTensors,
  native: (tf.backend() as unknown as { getNumOfTFTensors(): number }).getNumOfTFTensors(),
});

test(`${STEPS} steps leave no tensor and no memory behind`, () => {
  const zeros = { shape: [8 * 8 * 3, 3], values: new Float32Array(8 * 8 * 3 * 3) };
  const step = captureStep({
    inputs: { ...batchInputs, t: { shape: [], dtype: "float32" } },
    state: { ...net.params, "m/w": zeros, "v/w": zeros },
    fn: ({ images, labels, t }, { w, ...moments }) => {
      const { loss, grads } = lossAndGrads(net, { w: w! }, images!, labels!);
      const next = adam({ w: w! }, moments, grads, t!);
      return { outputs: { loss }, state: { ...next.params, ...next.moments } };
    },
  });
  const run = (from: number, to: number): void => {
    for (let i = from; i < to; i++) {
      step.run({ ...batch(i % 7), t: Float32Array.of(i + 1) });
      if (i % 100 === 0) step.writeState(step.readState());
    }
  };
  run(0, STEPS / 5);
  const before = { ...counts(), memory: resident() };
  run(STEPS / 5, STEPS);
  const after = { ...counts(), memory: resident() };
  expect(after.tensors).toBe(before.tensors);
  expect(after.native).toBe(before.native);
  expect(after.memory / before.memory).toBeLessThan(1.05);
  step.dispose();
  expect(counts().native).toBe(0);
});

test("captures that come and go leave nothing behind", () => {
  const once = (): void => {
    const step = captureStep({
      inputs: { x: { shape: [64, 64], dtype: "float32" } },
      state: { w: { shape: [64, 64], values: new Float32Array(64 * 64) } },
      fn: ({ x }, { w }) => ({
        outputs: { y: tf.sum(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D)) },
        state: { w: tf.add(w!, x!) },
      }),
    });
    step.run({ x: new Float32Array(64 * 64) });
    step.dispose();
  };
  for (let i = 0; i < 40; i++) once();
  const before = { ...counts(), memory: resident() };
  for (let i = 0; i < 100; i++) once();
  const after = { ...counts(), memory: resident() };
  expect({ ...after, memory: 0 }).toEqual({ ...before, memory: 0 });
  expect(after.memory / before.memory).toBeLessThan(1.05);
});
