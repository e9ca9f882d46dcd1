import type * as tf from "@tensorflow/tfjs-core";
import { DT, nativeBackend } from "./native.ts";
import { cast } from "./products.ts";

/**
 * The float32 tensor rounded to what bfloat16 can hold (8 bits of precision, ties to even), still float32: tfjs has
 * no such element type, TensorFlow has. No gradient passes through it.
 */
export function roundToBfloat16(x: tf.Tensor): tf.Tensor {
  if (x.dtype !== "float32") throw new TypeError(`roundToBfloat16 takes float32 tensors, not ${x.dtype}`);
  const backend = nativeBackend();
  const { binding } = backend;
  const narrow = cast(binding, backend.getInputTensorIds([x])[0]!, DT.float, DT.bfloat16);
  const wide = cast(binding, narrow.id, DT.bfloat16, DT.float);
  binding.deleteTensor(narrow.id);
  return backend.createOutputTensor(wide);
}
