import { loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { gather } from "../../teacher-service/forward/gather.ts";
import { resizeBilinear } from "../../teacher-service/forward/resize.ts";
import { resizeAntialiased } from "../../teacher-service/forward/resize-antialiased.ts";
import { noise } from "./tiny-teacher.ts";

const BILINEAR = { resolution: 2, resize: "bilinear" } as const;

beforeAll(() => loadEngine());

test.each([
  [48, 40, 32],
  [20, 33, 32],
  [1, 1, 8],
  [128, 96, 64],
])("resizing %i×%i to %i equals TensorFlow's", (height, width, size) => {
  const pixels = noise(height * width * 3);
  const ours = new Float32Array(size * size * 3 + 1);
  resizeBilinear(pixels, [height, width, 3], size, ours, 1);
  const theirs = tf.tidy(() =>
    tf.image
      .resizeBilinear(tf.tensor3d(pixels, [height, width, 3]), [size, size], false, true)
      .dataSync<"float32">(),
  );
  const error = theirs.reduce((most, value, i) => Math.max(most, Math.abs(value - ours[i + 1]!)), 0);
  expect(error).toBeLessThan(1e-3); // pixel units; TensorFlow computes the places in float32
});

test.each([
  [48, 40, 32],
  [20, 33, 32],
  [1, 1, 8],
  [192, 256, 64],
  [65, 130, 8],
])("resizing %i×%i to %i with antialiasing equals TensorFlow's", (height, width, size) => {
  const pixels = noise(height * width * 3);
  const ours = new Float32Array(size * size * 3 + 1);
  resizeAntialiased(pixels, [height, width, 3], size, ours, 1);
  const theirs = scaleAndTranslate(tf.tensor4d(Array.from(pixels), [1, height, width, 3]), size);
  const error = theirs.reduce((most, value, i) => Math.max(most, Math.abs(value - ours[i + 1]!)), 0);
  expect(error).toBeLessThan(1e-3);
});

/** What `tf.image.resize(images, [size, size], antialias=True)` computes; tfjs does not offer it. */
function scaleAndTranslate(images: tf.Tensor4D, size: number): Float32Array {
  const { binding, getInputTensorIds } = tf.backend() as unknown as Backend;
  const [, height, width] = images.shape;
  const scale = [size / height, size / width];
  const inputs = [images, tf.tensor1d([size, size], "int32"), tf.tensor1d(scale), tf.tensor1d([0, 0])];
  const attrs = [
    { name: "T", type: binding.TF_ATTR_TYPE, value: 1 },
    { name: "kernel_type", type: binding.TF_ATTR_STRING, value: "triangle" },
    { name: "antialias", type: binding.TF_ATTR_BOOL, value: true },
  ];
  const [resized] = binding.executeOp(
    "ScaleAndTranslate",
    attrs,
    getInputTensorIds.call(tf.backend(), inputs),
    1,
  );
  return binding.tensorDataSync(resized!.id);
}

interface Backend {
  getInputTensorIds(tensors: tf.Tensor[]): number[];
  binding: {
    TF_ATTR_TYPE: number;
    TF_ATTR_STRING: number;
    TF_ATTR_BOOL: number;
    executeOp(op: string, attrs: object[], inputs: number[], outputs: number): { id: number }[];
    tensorDataSync(id: number): Float32Array;
  };
}

test("a pass is its requests one after the other, resized where needed, padded with zeros", () => {
  const small = { dtype: "uint8" as const, shape: [2, 1, 1, 1] as const, data: Uint8Array.of(7, 9) };
  const same = {
    dtype: "float32" as const,
    shape: [1, 2, 2, 1] as const,
    data: new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer),
  };
  const slices = [
    { images: small, from: 1, count: 1 },
    { images: same, from: 0, count: 1 },
  ];
  expect([...gather({ size: 3, slices }, BILINEAR)]).toEqual([9, 9, 9, 9, 1, 2, 3, 4, 0, 0, 0, 0]);
});

test("a request that is a whole pass is taken where it lies", () => {
  const data = new Uint8Array(new SharedArrayBuffer(8));
  const whole = {
    images: { dtype: "uint8" as const, shape: [2, 2, 2, 1] as const, data },
    from: 0,
    count: 2,
  };
  expect(gather({ size: 2, slices: [whole] }, BILINEAR).buffer).toBe(data.buffer);
});
