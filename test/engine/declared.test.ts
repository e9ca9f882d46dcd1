import { CaptureError, captureStep } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { loadedAndLeftClean } from "./refused.ts";

loadedAndLeftClean();

describe("a captured function is used as it was declared", () => {
  const declared = () =>
    captureStep({
      inputs: { x: { shape: [2], dtype: "float32" }, bytes: { shape: [3], dtype: "uint8" } },
      state: { w: { shape: [], values: Float32Array.of(1) } },
      fn: ({ x, bytes }, { w }) => ({ outputs: { y: tf.mul(tf.sum(x!), w!), bytes: bytes! } }),
    });
  const x = new Float32Array(2);
  const bytes = new Uint8Array(3);
  type Inputs = Parameters<ReturnType<typeof declared>["run"]>[0];

  test.each<[string, Inputs, string]>([
    ["a missing input", { x }, "input bytes is missing"],
    ["an unknown input", { x, bytes, z: x }, "there is no input z: the inputs are x, bytes"],
    ["another length", { x: new Float32Array(3), bytes }, "input x has 3 elements: [2] takes 2"],
    ["another type", { x: new Int32Array(2), bytes }, "input x is a Int32Array: it takes a Float32Array"],
    [
      "floats for bytes",
      { x, bytes: new Float32Array(3) },
      "input bytes is a Float32Array: it takes a Uint8Array",
    ],
  ])("%s", (_, inputs, message) => {
    const step = declared();
    expect(() => step.run(inputs)).toThrow(CaptureError);
    expect(() => step.run(inputs)).toThrow(message);
    expect(step.run({ x, bytes }).bytes).toEqual(new Float32Array(3));
    step.dispose();
  });

  test("unknown and misshapen states", () => {
    const step = declared();
    expect(() => step.readState(["v"])).toThrow("there is no state v: the states are w");
    expect(() => step.writeState({ v: x })).toThrow("there is no state v");
    expect(() => step.writeState({ w: x })).toThrow("state w has 2 elements: [] takes 1");
    step.dispose();
  });

  test("after dispose", () => {
    const step = declared();
    step.dispose();
    step.dispose();
    for (const use of [() => step.run({ x, bytes }), () => step.readState(), () => step.writeState({})]) {
      expect(use).toThrow("the captured function was disposed");
    }
  });

  test("initial values of another length, an unknown input type, a size left open", () => {
    expect(() =>
      captureStep({
        inputs: { x: { shape: [-1, 3], dtype: "float32" } },
        fn: ({ x }) => ({ outputs: { x: x! } }),
      }),
    ).toThrow("input x has shape [-1, 3]: a captured graph has fixed sizes");
    expect(() =>
      captureStep({
        inputs: {},
        state: { w: { shape: [3], values: x } },
        fn: (_, { w }) => ({ outputs: { w: w! } }),
      }),
    ).toThrow("state w has 2 elements: [3] takes 3");
    expect(() =>
      captureStep({
        inputs: { x: { shape: [3], dtype: "bool" as "int32" } },
        fn: ({ x }) => ({ outputs: { x: x! } }),
      }),
    ).toThrow("input x has dtype bool: use float32, int32 or uint8");
  });
});
