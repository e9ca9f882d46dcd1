import type * as tf from "@tensorflow/tfjs-core";
import { DT, type NativeAttr, nativeBackend } from "./native.ts";

/**
 * The float32 tensor rounded to what bfloat16 can hold (8 bits of precision, ties to even), still float32: tfjs has
 * no such element type, TensorFlow has. No gradient passes through it.
 */
export function roundToBfloat16(x: tf.Tensor): tf.Tensor {
  if (x.dtype !== "float32") throw new TypeError(`roundToBfloat16 takes float32 tensors, not ${x.dtype}`);
  const backend = nativeBackend();
  const { binding } = backend;
  const cast = (from: number, to: number): NativeAttr[] => [
    { name: "SrcT", type: binding.TF_ATTR_TYPE, value: from },
    { name: "DstT", type: binding.TF_ATTR_TYPE, value: to },
    { name: "Truncate", type: binding.TF_ATTR_BOOL, value: false },
  ];
  const [narrow] = binding.executeOp("Cast", cast(DT.float, DT.bfloat16), backend.getInputTensorIds([x]), 1);
  const [wide] = binding.executeOp("Cast", cast(DT.bfloat16, DT.float), [narrow!.id], 1);
  binding.deleteTensor(narrow!.id);
  return backend.createOutputTensor(wide!);
}
