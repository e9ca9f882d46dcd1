import { CaptureError, captureStep, loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, expect } from "vitest";

/** Captures a function of x [2, 3] and index [3] with a state w [2, 3]; it should not get that far. */
export function capture(fn: (x: tf.Tensor, w: tf.Tensor, index: tf.Tensor) => unknown): void {
  captureStep({
    inputs: { x: { shape: [2, 3], dtype: "float32" }, index: { shape: [3], dtype: "int32" } },
    state: { w: { shape: [2, 3], values: new Float32Array(6) } },
    fn: ({ x, index }, { w }) => fn(x!, w!, index!) as { outputs: Record<string, tf.Tensor> },
  }).dispose();
}

export function expectRefusal(fn: Parameters<typeof capture>[0], message: string | RegExp): void {
  expect(() => capture(fn)).toThrow(CaptureError);
  expect(() => capture(fn)).toThrow(message);
}

/** Loads the engine, and holds each test of the file to leaving no tensor and a backend that computes. */
export function loadedAndLeftClean(): void {
  const tensors = () => [
    tf.memory().numTensors,
    (tf.backend() as unknown as { getNumOfTFTensors(): number }).getNumOfTFTensors(),
  ];
  let before: number[];
  beforeAll(async () => {
    await loadEngine();
  });
  beforeEach(() => {
    before = tensors();
  });
  afterEach(() => {
    expect(tensors()).toEqual(before);
    expect(tf.tidy(() => tf.sum(tf.tensor1d([1, 2])).dataSync()[0])).toBe(3);
  });
}
