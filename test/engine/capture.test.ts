import { type Captured, captureStep, loadEngine, roundToBfloat16 } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { captured, eager, expectClose, type Given } from "./both-ways.ts";
import { adam, batch, batchInputs, lossAndGrads, type Net, nets } from "./nets.ts";

beforeAll(async () => {
  await loadEngine();
});

describe("a captured network equals tfjs's own execution:", () => {
  test.each(Object.entries(nets))("%s, its loss and gradients", (_, net) => {
    const { images, labels } = batch(0);
    const given: Given = {
      images: { ...batchInputs.images, values: images },
      labels: { ...batchInputs.labels, values: labels },
      ...Object.fromEntries(
        Object.entries(net.params).map(([name, p]) => [name, { ...p, dtype: "float32" as const }]),
      ),
    };
    const fn = ({ images, labels, ...params }: Record<string, tf.Tensor>): Record<string, tf.Tensor> => {
      const { loss, grads } = lossAndGrads(net, params, images!, labels!);
      return { loss, ...grads };
    };
    expectClose(captured(given, fn), eager(given, fn));
  });

  test.each(Object.entries(nets))("%s, six steps of Adam with its state", (_, net) => {
    const training = captureTraining(net);
    let state = eagerState(net);
    for (let step = 1; step <= 6; step++) {
      const inputs = { ...batch(step), t: Float32Array.of(step) };
      const { loss } = training.run(inputs);
      const eagerStep = eagerTraining(net, state, inputs);
      expect(Math.abs(loss![0]! - eagerStep.loss)).toBeLessThanOrEqual(1e-6 * Math.abs(eagerStep.loss));
      tf.dispose(state);
      state = eagerStep.state;
    }
    const wanted = Object.fromEntries(
      Object.entries(state).map(([name, tensor]) => [name, tensor.dataSync()]),
    );
    expectClose(training.readState(), wanted);
    training.dispose();
    tf.dispose(state);
  });
});

function firstMoments(net: Net): Net["params"] {
  const zeros = (prefix: string) =>
    Object.entries(net.params).map(([name, p]) => [
      `${prefix}/${name}`,
      { shape: p.shape, values: new Float32Array(p.values.length) },
    ]);
  return Object.fromEntries([...zeros("m"), ...zeros("v")]);
}

/** Parameters and moments from one flat record of states. */
function split(
  net: Net,
  state: Record<string, tf.Tensor>,
): { params: Record<string, tf.Tensor>; moments: Record<string, tf.Tensor> } {
  const entries = Object.entries(state);
  return {
    params: Object.fromEntries(entries.filter(([name]) => name in net.params)),
    moments: Object.fromEntries(entries.filter(([name]) => !(name in net.params))),
  };
}

function oneStep(
  net: Net,
  inputs: Record<string, tf.Tensor>,
  state: Record<string, tf.Tensor>,
): { loss: tf.Tensor; state: Record<string, tf.Tensor> } {
  const { params, moments } = split(net, state);
  const { loss, grads } = lossAndGrads(net, params, inputs.images!, inputs.labels!);
  const next = adam(params, moments, grads, inputs.t!);
  return { loss, state: { ...next.params, ...next.moments } };
}

function captureTraining(net: Net): Captured {
  return captureStep({
    inputs: { ...batchInputs, t: { shape: [], dtype: "float32" } },
    state: { ...net.params, ...firstMoments(net) },
    fn: (inputs, state) => {
      const next = oneStep(net, inputs, state);
      return { outputs: { loss: next.loss }, state: next.state };
    },
  });
}

function eagerState(net: Net): Record<string, tf.Tensor> {
  const all = Object.entries({ ...net.params, ...firstMoments(net) });
  return Object.fromEntries(all.map(([name, { shape, values }]) => [name, tf.tensor(values, shape)]));
}

function eagerTraining(
  net: Net,
  state: Record<string, tf.Tensor>,
  inputs: { images: Uint8Array; labels: Int32Array; t: Float32Array },
) {
  return tf.tidy(() => {
    const tensors = {
      images: tf.tensor(inputs.images, [...batchInputs.images.shape], "float32"),
      labels: tf.tensor(inputs.labels, [...batchInputs.labels.shape], "int32"),
      t: tf.scalar(inputs.t[0]!),
    };
    const next = oneStep(net, tensors, state);
    return { loss: next.loss.dataSync()[0]!, state: next.state };
  });
}

describe("state", () => {
  const counter = () =>
    captureStep({
      inputs: { add: { shape: [2], dtype: "float32" } },
      state: {
        sum: { shape: [2], values: Float32Array.of(10, 20) },
        steps: { shape: [], values: Float32Array.of(0) },
        fixed: { shape: [1], values: Float32Array.of(7) },
      },
      fn: ({ add }, { sum, steps, fixed }) => ({
        outputs: { before: sum!, twice: sum!, doubled: tf.mul(sum!, 2), fixed: fixed! },
        state: { sum: tf.add(sum!, add!), steps: tf.add(steps!, 1) },
      }),
    });

  test("outputs come from the old state, and the new state is there for the next step", () => {
    const step = counter();
    const first = step.run({ add: Float32Array.of(1, 2) });
    expect(first).toEqual({
      before: Float32Array.of(10, 20),
      twice: Float32Array.of(10, 20),
      doubled: Float32Array.of(20, 40),
      fixed: Float32Array.of(7),
    });
    expect(step.run({ add: Float32Array.of(1, 2) }).before).toEqual(Float32Array.of(11, 22));
    expect(step.readState()).toEqual({
      sum: Float32Array.of(12, 24),
      steps: Float32Array.of(2),
      fixed: Float32Array.of(7),
    });
    step.dispose();
  });

  test("is read and written by name, and copied both ways", () => {
    const step = counter();
    const values = Float32Array.of(1, 1);
    step.writeState({ sum: values });
    values.fill(99);
    const read = step.readState(["sum"]);
    expect(read).toEqual({ sum: Float32Array.of(1, 1) });
    read.sum!.fill(55);
    expect(step.run({ add: Float32Array.of(0, 0) }).before).toEqual(Float32Array.of(1, 1));
    step.dispose();
  });

  test("that becomes an input keeps its own copy of it", () => {
    const size = 1 << 16;
    const step = captureStep({
      inputs: { x: { shape: [size], dtype: "float32" } },
      state: { last: { shape: [size], values: new Float32Array(size) } },
      fn: ({ x }, { last }) => ({ outputs: { last: last! }, state: { last: x! } }),
    });
    const x = new Float32Array(new SharedArrayBuffer(4 * size, { maxByteLength: 4 * size })).fill(1);
    step.run({ x });
    x.fill(2);
    expect(step.run({ x }).last![size - 1]).toBe(1);
    x.fill(3);
    expect(step.run({ x }).last![0]).toBe(2);
    step.dispose();
  });

  test("two states can change places", () => {
    const step = captureStep({
      inputs: {},
      state: { a: { shape: [], values: Float32Array.of(1) }, b: { shape: [], values: Float32Array.of(2) } },
      fn: (_, { a, b }) => ({ outputs: {}, state: { a: b!, b: a! } }),
    });
    expect(step.run({})).toEqual({});
    expect(step.readState()).toEqual({ a: Float32Array.of(2), b: Float32Array.of(1) });
    step.run({});
    expect(step.readState(["b", "a"])).toEqual({ b: Float32Array.of(2), a: Float32Array.of(1) });
    step.dispose();
  });
});

describe("inputs and outputs", () => {
  test("bytes arrive as floats 0..255, also from shared memory at an odd place; unused inputs are allowed", () => {
    const step = captureStep({
      inputs: { images: { shape: [3], dtype: "uint8" }, unused: { shape: [2], dtype: "int32" } },
      fn: ({ images }) => ({ outputs: { images: images!, half: tf.div(images!, 2) } }),
    });
    const images = new Uint8Array(new SharedArrayBuffer(8), 5);
    images.set([0, 127, 255]);
    const { half } = step.run({ images, unused: Int32Array.of(1, 2) });
    expect(half).toEqual(Float32Array.of(0, 63.5, 127.5));
    step.dispose();
  });

  test("an output may be an input, a constant, an integer or a boolean", () => {
    const outside = tf.tensor1d([4, 5]);
    const step = captureStep({
      inputs: { x: { shape: [2], dtype: "float32" } },
      fn: ({ x }) => ({
        outputs: {
          x: x!,
          outside,
          ones: tf.ones([100]),
          whole: tf.cast(x!, "int32"),
          positive: tf.greater(x!, 0),
        },
      }),
    });
    expect(step.run({ x: Float32Array.of(-1.5, 2.5) })).toEqual({
      x: Float32Array.of(-1.5, 2.5),
      outside: Float32Array.of(4, 5),
      ones: new Float32Array(100).fill(1),
      whole: Int32Array.of(-1, 2),
      positive: Int32Array.of(0, 1),
    });
    step.dispose();
    expect(outside.dataSync()).toEqual(Float32Array.of(4, 5));
    outside.dispose();
  });

  test("captured functions live side by side with tfjs and each other, each with its own state", () => {
    const make = (first: number) =>
      captureStep({
        inputs: { x: { shape: [1], dtype: "float32" } },
        state: { sum: { shape: [1], values: Float32Array.of(first) } },
        fn: ({ x }, { sum }) => ({ outputs: { sum: sum! }, state: { sum: tf.add(sum!, x!) } }),
      });
    const [a, b] = [make(10), make(20)];
    const x = Float32Array.of(5);
    for (const step of [a, b, a]) step.run({ x });
    expect(tf.tidy(() => tf.mul(tf.tensor1d([5]), 4).dataSync()[0])).toBe(20);
    expect([a.readState().sum![0], b.readState().sum![0]]).toEqual([20, 25]);
    a.dispose();
    expect(b.run({ x }).sum![0]).toBe(25);
    b.dispose();
  });
});

test("roundToBfloat16 keeps 8 bits of precision, ties to even, eager and captured", () => {
  const given: Given = {
    x: {
      shape: [6],
      dtype: "float32",
      values: Float32Array.of(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -7, -3.1, 1e30),
    },
  };
  const fn = ({ x }: Record<string, tf.Tensor>) => ({ y: roundToBfloat16(x!) });
  const { y } = eager(given, fn);
  expect(Array.from(y!).slice(0, 5)).toEqual([1, 1, 1 + 2 ** -6, 1 + 2 ** -7, -3.09375]);
  expect(captured(given, fn).y).toEqual(y);
});
