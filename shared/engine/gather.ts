import * as tf from "@tensorflow/tfjs-core";
import { type NativeAttr, type NativeBackend, nativeBackend } from "./native.ts";

let replaced = false;

/**
 * tfjs-node's GatherV2 reads the indices back to JavaScript to check them; TensorFlow checks them itself. This kernel
 * leaves that to TensorFlow, so that it can be captured.
 */
export function gatherWithoutReading(): void {
  if (replaced) return;
  replaced = true;
  tf.unregisterKernel("GatherV2", "tensorflow");
  tf.registerKernel({ kernelName: "GatherV2", backendName: "tensorflow", kernelFunc: gather });
}

const gather: tf.KernelFunc = ({ inputs, attrs }) => {
  const { x, indices } = inputs as { x: tf.TensorInfo; indices: tf.TensorInfo };
  const { axis, batchDims } = attrs as { axis: number; batchDims: number };
  tf.backend_util.segment_util.collectGatherOpShapeInfo(
    x as tf.Tensor,
    indices as tf.Tensor,
    axis,
    batchDims,
  );
  const backend: NativeBackend = nativeBackend();
  const type = (name: string, dtype: tf.DataType): NativeAttr => ({
    name,
    type: backend.binding.TF_ATTR_TYPE,
    value: typeNumber(backend, dtype),
  });
  const axisTensor = tf.scalar(axis, "int32");
  const [result] = backend.binding.executeOp(
    "GatherV2",
    [
      { name: "batch_dims", type: backend.binding.TF_ATTR_INT, value: batchDims },
      type("Tparams", x.dtype),
      type("Tindices", indices.dtype),
      type("Taxis", "int32"),
    ],
    backend.getInputTensorIds([x, indices, axisTensor]),
    1,
  );
  axisTensor.dispose();
  return backend.createOutputTensor(result!);
};

function typeNumber({ binding }: NativeBackend, dtype: tf.DataType): number {
  const numbers: Record<tf.DataType, number> = {
    float32: binding.TF_FLOAT,
    int32: binding.TF_INT32,
    bool: binding.TF_BOOL,
    complex64: binding.TF_COMPLEX64,
    string: binding.TF_STRING,
  };
  return numbers[dtype];
}
