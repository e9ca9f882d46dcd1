import * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";
import { DT, type NativeAttr, nativeBackend } from "../../shared/engine/native.ts";
import { numbers } from "./both-ways.ts";

/** Seeded numbers of that shape, `scale` times [-1, 1), plus `offset`. */
export function seeded(seed: number, shape: number[], scale = 1, offset = 0): tf.Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  return tf.tensor(
    numbers(seed, size).map((value) => value * scale + offset),
    shape,
  );
}

/** The result of a function and its gradients by each input, for a seeded gradient by the result; all as arrays. */
export function valueAndGradients(
  fn: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: tf.Tensor[],
): Float32Array[] {
  return tf.tidy(() => {
    const dy = seeded(99, fn(...inputs).shape);
    const { value, grads } = tf.valueAndGrads(
      (...xs: tf.Tensor[]) => tf.sum(tf.mul(fn(...xs), dy)) as tf.Scalar,
    )(inputs);
    value.dispose();
    return [fn(...inputs), ...grads].map((tensor) => tensor.dataSync() as Float32Array);
  });
}

/** Largest difference, as a share of the largest wanted magnitude. */
export function relativeDifference(actual: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(actual.length).toBe(wanted.length);
  let largest = 0;
  let apart = 0;
  for (let i = 0; i < wanted.length; i++) {
    largest = Math.max(largest, Math.abs(wanted[i]!));
    const difference = Math.abs(actual[i]! - wanted[i]!);
    apart = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(apart, difference);
  }
  return largest === 0 ? apart : apart / largest;
}

/** Runs an operation with the tensors named in `narrow` given and taken as bfloat16, by their place. */
export function inBfloat16(
  op: string,
  attributes: NativeAttr[],
  inputs: tf.Tensor[],
  narrow: { inputs: number[]; outputs: number[]; of: number },
): Float32Array[] {
  const backend = nativeBackend();
  const { binding } = backend;
  const made: number[] = [];
  const cast = (id: number, from: number, to: number): number => {
    const attrs = [
      { name: "SrcT", type: binding.TF_ATTR_TYPE, value: from },
      { name: "DstT", type: binding.TF_ATTR_TYPE, value: to },
    ];
    made.push(binding.executeOp("Cast", attrs, [id], 1)[0]!.id);
    return made.at(-1)!;
  };
  const ids = backend
    .getInputTensorIds(inputs)
    .map((id, i) => (narrow.inputs.includes(i) ? cast(id, DT.float, DT.bfloat16) : id));
  const attrs = [{ name: "T", type: binding.TF_ATTR_TYPE, value: DT.bfloat16 }, ...attributes];
  const results = binding.executeOp(op, attrs, ids, narrow.of).map(({ id }) => id);
  made.push(...results);
  const values = results.map((id, i) => {
    const wide = narrow.outputs.includes(i) ? cast(id, DT.bfloat16, DT.float) : id;
    return binding.tensorDataSync(wide) as Float32Array;
  });
  for (const id of made) binding.deleteTensor(id);
  return values;
}
