import * as tf from "@tensorflow/tfjs-core";
import type { TFEOpAttr, TFJSBinding } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import { EngineError } from "./engine-error.ts";

/** The native binding: operations by name, tensors by number, sessions over saved graphs. */
export type Native = TFJSBinding;
export type NativeAttr = TFEOpAttr;
export type TensorInfo = { shape: number[]; dtype: number };
export type TensorHandle = TensorInfo & { id: number };

/** What this package uses of tfjs-node's backend; some of it is private there. */
export interface NativeBackend {
  binding: Native;
  /** Numbers of the tensors' native handles; makes those that only exist in JavaScript so far. */
  getInputTensorIds(tensors: tf.TensorInfo[]): number[];
  createOutputTensor(handle: TensorHandle): tf.Tensor;
  tensorMap: tf.DataStorage<{ id: number }>;
  readSync(dataId: object): tf.BackendValues;
  read(dataId: object): Promise<tf.BackendValues>;
}

/** TensorFlow's numbers for element types (types.proto). */
export const DT = {
  float: 1,
  int32: 3,
  uint8: 4,
  string: 7,
  complex64: 8,
  int64: 9,
  bool: 10,
  bfloat16: 14,
  half: 19,
  resource: 20,
} as const;

const DTYPE_NAMES = new Map<number, string>(
  Object.entries(DT).map(([name, code]) => [code, name === "float" ? "float32" : name]),
);

/** "float32", "int32", …: for messages. */
export function dtypeName(dtype: number): string {
  return DTYPE_NAMES.get(dtype) ?? `dtype ${dtype}`;
}

/** The loaded backend. Throws EngineError if `loadEngine()` has not run in this thread. */
export function nativeBackend(): NativeBackend {
  const backend = tf.getBackend() === "tensorflow" ? tf.backend() : undefined;
  if (backend === undefined)
    throw new EngineError("the engine is not loaded in this thread: await loadEngine() first");
  return backend as unknown as NativeBackend;
}
