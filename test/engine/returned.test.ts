import { captureStep } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { capture, expectRefusal, loadedAndLeftClean } from "./refused.ts";

loadedAndLeftClean();

describe("what the function returns is checked", () => {
  test("a promise", () => expectRefusal(async (x) => ({ outputs: { x } }), "returned a promise"));
  test("nothing", () => expectRefusal(() => undefined, "must return { outputs"));
  test("an output that is no tensor", () =>
    expectRefusal(() => ({ outputs: { y: 3 } }), "output y is not a tensor"));
  test("a disposed output", () =>
    expectRefusal((x) => {
      const y = tf.relu(x);
      y.dispose();
      return { outputs: { y } };
    }, "output y was disposed"));
  test("a complex output", () =>
    expectRefusal((x) => ({ outputs: { y: tf.complex(x, x) } }), "output y is complex64"));
  test("a state of another shape", () =>
    expectRefusal(
      (x, w) => ({ outputs: { x }, state: { w: tf.transpose(w) } }),
      "state w is float32 [2, 3] but its new value is float32 [3, 2]",
    ));
  test("a state of another type", () =>
    expectRefusal(
      (x, w) => ({ outputs: { x }, state: { w: tf.cast(w, "int32") } }),
      "its new value is int32 [2, 3]",
    ));
  test("a state that was not declared", () =>
    expectRefusal((x) => ({ outputs: { x }, state: { v: x } }), "returned state v, which was not declared"));
  test("tensors kept for later", () => {
    const kept: tf.Tensor[] = [];
    const keep = (x: tf.Tensor) => {
      kept.push(tf.keep(tf.relu(x)));
      return { outputs: { x } };
    };
    expect(() => capture(keep)).toThrow("the function kept the result of Relu for later");
    tf.dispose(kept);
  });
  test("a variable that is assigned", () => {
    const variable = tf.tidy(() => tf.variable(tf.ones([2, 3]), true, "weights"));
    expectRefusal((x) => {
      variable.assign(x as tf.Tensor2D);
      return { outputs: { x } };
    }, "variable weights was assigned to");
    variable.dispose();
  });
  test("a capture within the capture", () =>
    expectRefusal((x) => {
      captureStep({ inputs: {}, fn: () => ({ outputs: { y: tf.scalar(1) } }) });
      return { outputs: { x } };
    }, "captureStep was called inside a captured function"));
  test("an error of the function's own comes out as it is", () => {
    expect(() =>
      capture(() => {
        throw new RangeError("mine");
      }),
    ).toThrow(RangeError);
    expect(() =>
      capture((x, w) => ({ outputs: { y: tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D) } })),
    ).toThrow(/incompatible/);
  });
});
