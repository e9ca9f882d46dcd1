import { CaptureError, captureStep, loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

beforeAll(async () => {
  await loadEngine();
});

/** Captures a function of x [2, 3] and index [3] with a state w [2, 3]; it should not get that far. */
function capture(fn: (x: tf.Tensor, w: tf.Tensor, index: tf.Tensor) => unknown): void {
  captureStep({
    inputs: { x: { shape: [2, 3], dtype: "float32" }, index: { shape: [3], dtype: "int32" } },
    state: { w: { shape: [2, 3], values: new Float32Array(6) } },
    fn: ({ x, index }, { w }) => fn(x!, w!, index!) as { outputs: Record<string, tf.Tensor> },
  }).dispose();
}

function expectRefusal(fn: Parameters<typeof capture>[0], message: string | RegExp): void {
  expect(() => capture(fn)).toThrow(CaptureError);
  expect(() => capture(fn)).toThrow(message);
}

const nativeTensors = (): number =>
  (tf.backend() as unknown as { getNumOfTFTensors(): number }).getNumOfTFTensors();

let before: number[];
beforeEach(() => {
  before = [tf.memory().numTensors, nativeTensors()];
});
afterEach(() => {
  expect([tf.memory().numTensors, nativeTensors()]).toEqual(before);
  expect(tf.tidy(() => tf.sum(tf.tensor1d([1, 2])).dataSync()[0])).toBe(3);
});

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
