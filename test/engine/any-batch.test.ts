import { CaptureError, captureAnyBatch, captureStep, loadEngine } from "@funmatch/engine";
import {
  bit,
  bitShapes,
  mobileNetV3,
  type ViTConfig,
  valueRange,
  vit,
  vitVariant,
  type Weights,
} from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";

beforeAll(() => loadEngine());

let state = 1;
const uniform = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
const random = (length: number) => Float32Array.from({ length }, () => uniform() - 0.3);
const IMAGE = [32, 32, 3];
const PIXELS = 32 * 32 * 3;
const bytes = (images: number) => Uint8Array.from({ length: images * PIXELS }, () => uniform() * 256);
const weightsOf = (shapes: Record<string, number[]>): Weights =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      {
        shape,
        values: random(shape.reduce((a, b) => a * b, 1)).map((x) => (/variance$/.test(name) ? x + 1 : x / 4)),
      },
    ]),
  );

const bitConfig = { blocks: [1, 1], width: 0.5, classes: 5 };
const mobileConfig = { size: "small", width: 0.25, classes: 5, momentum: 0.99 } as const;
const vitConfig = {
  ...vitVariant("Ti"),
  ...{ patch: 16, positions: "learn", pool: "tok", image: [32, 32], classes: 5 },
} as ViTConfig;

describe("one graph for any number of images", () => {
  test.each([
    ["BiT", bitShapes(bitConfig), (p: Tensors, x: tf.Tensor4D) => bit(bitConfig)(p, x).logits],
    [
      "MobileNetV3",
      mobileNetV3.shapes(mobileConfig),
      (p: Tensors, x: tf.Tensor4D) => mobileNetV3.apply(mobileConfig)(p, x, { training: false }).logits,
    ],
    [
      "ViT",
      vit.shapes(vitConfig),
      (p: Tensors, x: tf.Tensor4D) => vit.apply(vitConfig)(p, x, { training: false }).logits,
    ],
  ])(
    "%s: equals a graph captured for just that number, from bytes and from numbers",
    (_name, shapes, network) => {
      const parameters = weightsOf(shapes);
      const logits = (images: tf.Tensor, p: Tensors) =>
        network(p, valueRange(images as tf.Tensor4D, [-1, 1]));
      const forward = captureAnyBatch({ image: IMAGE, parameters, fn: logits });
      for (const count of [1, 2, 7]) {
        const images = bytes(count);
        const one = captureStep({
          inputs: { images: { shape: [count, ...IMAGE], dtype: "uint8" } },
          state: parameters,
          fn: ({ images }, p) => ({ outputs: { logits: logits(images!, p) } }),
        });
        const expected = one.run({ images }).logits as Float32Array;
        one.dispose();
        const found = forward.run(images);
        expect(found).toHaveLength(count * 5);
        found.forEach((value, i) => {
          expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5 * (1 + Math.abs(expected[i]!)));
        });
        expect(forward.run(Float32Array.from(images))).toEqual(found);
      }
      forward.dispose();
      expect(() => forward.run(bytes(1))).toThrow("was disposed");
    },
  );
});

type Tensors = Record<string, tf.Tensor>;

describe("refused", () => {
  const capture = (fn: (images: tf.Tensor) => tf.Tensor) =>
    captureAnyBatch({ image: [2, 2, 3], parameters: {}, fn });

  test.each<[string, (images: tf.Tensor) => tf.Tensor, string]>([
    [
      "a constant for each image",
      (x) =>
        tf.add(
          x,
          tf.tensor4d(
            new Array(x.size).fill(0).map((_, i) => i),
            x.shape as [number, number, number, number],
          ),
        ),
      "a constant fed to Add depends on the number of images",
    ],
    [
      "other operations for more images",
      (x) => (x.shape[0] === 2 ? tf.relu(x) : tf.exp(x)),
      "another operation",
    ],
    [
      "more operations for fewer images",
      (x) => (x.shape[0] === 2 ? tf.relu(x) : x),
      "there are other operations when there are more images",
    ],
    [
      "fewer operations for fewer images",
      (x) => (x.shape[0] === 2 ? x : tf.relu(x)),
      "there are other operations when there are more images",
    ],
    [
      "a result that is no image's but their number's",
      (x) => tf.ones([x.shape[0]!, 3]),
      "a constant fed to output result depends on the number of images",
    ],
    ["a result without a row for each image", (x) => tf.sum(x), "a row for each image is needed"],
  ])("%s", (_what, fn, message) => {
    expect(() => capture(fn)).toThrow(CaptureError);
    expect(() => capture(fn)).toThrow(message);
  });

  test("a part of an image", () => {
    const forward = capture((x) => tf.relu(x));
    expect([...forward.run(Float32Array.from({ length: 12 }, (_, i) => i - 6)).slice(4, 8)]).toEqual([
      0, 0, 0, 1,
    ]);
    expect(() => forward.run(new Float32Array(13))).toThrow("no whole number of images [2, 2, 3]");
    forward.dispose();
  });
});
