import type { Arrays, CaptureOptions } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";

/**
 * The same step as tfjs-node runs it: operation by operation, state in tensors. The peer of a captured step.
 *
 * @returns runs a step and reads its outputs back
 */
export function eagerStep({
  inputs,
  state = {},
  fn,
}: CaptureOptions): (arrays: Arrays) => Record<string, number> {
  let kept: Record<string, tf.Tensor> = Object.fromEntries(
    Object.entries(state).map(([name, { shape, values }]) => [name, tf.tensor(values, [...shape])]),
  );
  return (arrays) => {
    const { outputs, next } = tf.tidy(() => {
      const fed = Object.fromEntries(
        Object.entries(inputs).map(([name, { shape, dtype }]) => [
          name,
          // tfjs has no uint8 tensors: such input arrives as int32 and is cast, as its own image functions do
          tf.cast(
            tf.tensor(arrays[name] as Int32Array, [...shape], dtype === "float32" ? dtype : "int32"),
            "float32",
          ),
        ]),
      );
      const step = fn(fed, kept);
      return { outputs: step.outputs, next: step.state ?? {} };
    });
    tf.dispose(kept);
    kept = next;
    const read = Object.fromEntries(
      Object.entries(outputs).map(([name, tensor]) => [name, tensor.dataSync()[0] as number]),
    );
    tf.dispose(outputs);
    return read;
  };
}
