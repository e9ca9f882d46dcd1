import { captureStep, type InputSpec } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";

export type Given = Record<string, InputSpec & { values: Float32Array | Int32Array | Uint8Array }>;
type Values = Record<string, ArrayLike<number>>;

/** Seeded numbers in [-1, 1): a 32-bit mixing function of the index, the same everywhere. */
export function numbers(seed: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => {
    let h = Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(i + 1, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
    h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
    return ((h ^ (h >>> 16)) >>> 8) / 2 ** 23 - 1;
  });
}

/** A float32 input filled with seeded numbers. */
export function floats(seed: number, ...shape: number[]): Given[string] {
  return {
    shape,
    dtype: "float32",
    values: numbers(
      seed,
      shape.reduce((a, b) => a * b, 1),
    ),
  };
}

/** What `fn` gives when each operation runs by itself, as tfjs does. */
export function eager(
  given: Given,
  fn: (inputs: Record<string, tf.Tensor>) => Record<string, tf.Tensor>,
): Values {
  const tensors = tf.tidy(() => {
    const inputs = Object.entries(given).map(([name, { shape, dtype, values }]) => [
      name,
      tf.tensor(values, [...shape], dtype === "uint8" ? "float32" : dtype),
    ]);
    return fn(Object.fromEntries(inputs));
  });
  const values = Object.entries(tensors).map(([name, tensor]) => [name, tensor.dataSync()]);
  tf.dispose(tensors);
  return Object.fromEntries(values);
}

/** What `fn` gives as a captured graph. */
export function captured(
  given: Given,
  fn: (inputs: Record<string, tf.Tensor>) => Record<string, tf.Tensor>,
): Values {
  const step = captureStep({ inputs: given, fn: (inputs) => ({ outputs: fn(inputs) }) });
  try {
    return step.run(Object.fromEntries(Object.entries(given).map(([name, { values }]) => [name, values])));
  } finally {
    step.dispose();
  }
}

/** Equal names and lengths, and values that differ by at most `tolerance` of the tensor's largest magnitude. */
export function expectClose(actual: Values, wanted: Values, tolerance = 1e-6): void {
  expect(Object.keys(actual).sort()).toEqual(Object.keys(wanted).sort());
  for (const [name, want] of Object.entries(wanted)) {
    const got = actual[name]!;
    expect(got.length, name).toBe(want.length);
    let largest = 0;
    for (const value of Array.from(want))
      if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
    for (let i = 0; i < want.length; i++) {
      const [a, b] = [got[i]!, want[i]!];
      if (Object.is(a, b) || a === b) continue;
      if (!(Math.abs(a - b) <= tolerance * largest))
        expect.fail(`${name}[${i}] is ${a} captured and ${b} eager`);
    }
  }
}
