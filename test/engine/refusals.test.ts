import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { capture, expectRefusal, loadedAndLeftClean } from "./refused.ts";

loadedAndLeftClean();

describe("reading values back is refused by the name of what reads", () => {
  test("dataSync", () =>
    expectRefusal(
      (x) => ({ outputs: { y: tf.scalar(tf.relu(x).dataSync()[0]!) } }),
      "Tensor.dataSync() reads the values of the result of Relu",
    ));
  test("arraySync of an input", () =>
    expectRefusal(
      (x) => ({ outputs: { y: tf.scalar((x.arraySync() as number[][])[0]![0]!) } }),
      "Tensor.arraySync() reads the values of an input or state",
    ));
  test("print", () =>
    expectRefusal((x) => {
      x.print();
      return { outputs: { x } };
    }, /reads the values of an input/));
  test("data, in a function that forgets to wait", () =>
    expectRefusal((x) => {
      void x.data();
      return { outputs: { x } };
    }, "Tensor.data() reads"));
  test("an error that the function swallows", () =>
    expectRefusal((x) => {
      try {
        x.dataSync();
      } catch {}
      return { outputs: { x } };
    }, "Tensor.dataSync() reads"));
  test("whereAsync", () =>
    expectRefusal(
      async (x) => ({ outputs: { y: await tf.whereAsync(tf.greater(x, 0)) } }),
      "whereAsync reads the values of the result of Greater",
    ));
  test("booleanMaskAsync", () =>
    expectRefusal(
      async (x) => ({ outputs: { y: await tf.booleanMaskAsync(x, tf.greater(x, 0)) } }),
      "booleanMaskAsync (whereAsync) reads",
    ));
  test("setdiff1dAsync", () =>
    expectRefusal(
      async (x, _, index) => ({
        outputs: { x, y: (await tf.setdiff1dAsync(index, tf.tensor1d([1], "int32")))[0] },
      }),
      "setdiff1dAsync reads",
    ));

  test("but not reading what JavaScript made itself", () => {
    capture((x) => ({ outputs: { y: tf.mul(x, tf.tensor1d([1, 2, 3]).dataSync()[1]!) } }));
  });
});

describe("results whose shape depends on values are refused by the operation's name", () => {
  test("unique", () =>
    expectRefusal(
      (_x, _w, index) => ({ outputs: { y: tf.unique(index).values } }),
      "UniqueV2: the shape of its result depends on values",
    ));
  test("nonMaxSuppression", () =>
    expectRefusal(
      (x) => ({
        outputs: {
          y: tf.image.nonMaxSuppression(tf.concat([x, tf.ones([2, 1])], 1) as tf.Tensor2D, tf.ones([2]), 2),
        },
      }),
      "NonMaxSuppressionV3",
    ));
  test("but not suppression padded to a fixed size", () => {
    capture((x) => ({
      outputs: {
        y: tf.image.nonMaxSuppressionPadded(
          tf.concat([x, tf.ones([2, 1])], 1) as tf.Tensor2D,
          tf.ones([2]),
          2,
          0.5,
          0,
          true,
        ).selectedIndices,
      },
    }));
  });
});

describe("what changes from one run to the next is refused", () => {
  test("a number that JavaScript counts", () => {
    let rate = 0;
    const fn = (x: tf.Tensor) => {
      rate += 0.1;
      return { outputs: { y: tf.mul(x, tf.scalar(rate)) } };
    };
    expect(() => capture(fn)).toThrow(
      "a constant fed to Mul changed from 0.1 to 0.2: pass what changes as an input",
    );
  });
  test("an element of a larger constant", () => {
    const weights = new Float32Array(6);
    expect(() =>
      capture((x) => {
        weights[4]! += 1;
        return { outputs: { y: tf.add(x, tf.tensor2d(weights.slice(), [2, 3])) } };
      }),
    ).toThrow("a constant fed to Add changed from 1 to 2 (element 4 of [2,3])");
  });
  test("Math.random", () =>
    expectRefusal(
      (x) => ({ outputs: { y: tf.add(x, Math.random()) } }),
      /constant fed to Add changed from 0\.\d+ to 0\.\d+/,
    ));
  test("randomNormal", () =>
    expectRefusal(
      (x) => ({ outputs: { y: tf.mul(x, tf.randomNormal([2, 3])) } }),
      /constant fed to Mul changed/,
    ));
  test("dropout without a seed", () =>
    expectRefusal((x) => ({ outputs: { y: tf.dropout(x, 0.5) } }), /constant fed to \w+ changed/));
  test("multinomial without a seed", () =>
    expectRefusal(
      (x) => ({ outputs: { y: tf.multinomial(x as tf.Tensor2D, 3) } }),
      "attribute seed of Multinomial changed",
    ));
  test("a shape", () => {
    let size = 0;
    expect(() =>
      capture((x) => ({
        outputs: {
          y: tf.pad(x, [
            [0, ++size],
            [0, 0],
          ]),
        },
      })),
    ).toThrow("a constant fed to PadV2 changed from 1 to 2");
  });
  test("an operation", () => {
    let odd = false;
    const alternate = (x: tf.Tensor) => {
      odd = !odd;
      return { outputs: { y: odd ? tf.relu(x) : tf.elu(x) } };
    };
    expect(() => capture(alternate)).toThrow("the function ran Relu the first time and Elu the second");
  });
  test("how much is done", () => {
    let times = 0;
    const more = (x: tf.Tensor) => ({ outputs: { y: ++times % 2 === 0 ? tf.relu(tf.relu(x)) : tf.relu(x) } });
    expect(() => capture(more)).toThrow("Relu came where the function had ended");
    times = 1;
    expect(() => capture(more)).toThrow("Relu ran the first time and not the second");
  });
  test("which tensor is taken", () => {
    let first = false;
    const swap = (x: tf.Tensor, w: tf.Tensor) => {
      first = !first;
      return { outputs: { y: tf.relu(first ? x : w) } };
    };
    expect(() => capture(swap)).toThrow("Relu took its input from another place the second time");
  });
  test("an output", () => {
    let value = 0;
    expect(() => capture(() => ({ outputs: { y: tf.scalar(++value) } }))).toThrow(
      "a constant fed to outputs y changed from 1 to 2",
    );
  });
});
