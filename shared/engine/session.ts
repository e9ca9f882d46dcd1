import { CaptureError } from "./capture-error.ts";
import { node } from "./captured-graph.ts";
import { sizeOf } from "./graph.ts";
import { DT, type Native, type TensorInfo } from "./native.ts";
import type { Declared } from "./trace.ts";

/** A uint8 input reaches the function as float32 with the values 0..255. */
export interface InputSpec {
  shape: readonly number[];
  dtype: "float32" | "int32" | "uint8";
}

export type Arrays = Record<string, Float32Array | Int32Array | Uint8Array>;
export type Results = Record<string, Float32Array | Int32Array>;

export interface Captured {
  /** One step: feeds the inputs, assigns the new state, returns the outputs. Arrays may lie on shared memory. */
  run(inputs: Arrays): Results;
  /** The present values of the named states, or of all. */
  readState(names?: string[]): Record<string, Float32Array>;
  /** Replaces the named states; the arrays are copied. */
  writeState(values: Record<string, Float32Array>): void;
  /** Frees the graph and its state. */
  dispose(): void;
}

/** The element type that is fed for each declared one. */
export const FED_TYPES = { float32: DT.float, int32: DT.int32, uint8: DT.uint8 } as const;
const FED_ARRAYS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array } as const;

/** A captured function over a session of the binding that holds its graph. */
export function capturedSession(
  native: Native,
  session: number,
  inputs: Record<string, InputSpec>,
  state: Declared,
  outputNames: string[],
): Captured {
  const inputNames = Object.keys(inputs);
  const stateNames = Object.keys(state);
  const inputNodes = inputNames.map((_, i) => node.input(i)).join();
  const outputNodes = outputNames.length > 0 ? outputNames.map((_, i) => node.output(i)).join() : node.done;
  let disposed = false;
  const requireAlive = (): void => {
    if (disposed) throw new CaptureError("the captured function was disposed");
  };
  const stateIndex = (name: string): number => {
    const index = stateNames.indexOf(name);
    if (index < 0)
      throw new CaptureError(`there is no state ${name}: the states are ${stateNames.join(", ")}`);
    return index;
  };
  return {
    run(arrays) {
      requireAlive();
      for (const name of Object.keys(arrays)) {
        if (!(name in inputs))
          throw new CaptureError(`there is no input ${name}: the inputs are ${inputNames.join(", ")}`);
      }
      const feeds = inputNames.map((name) => {
        const { shape, dtype } = inputs[name] as InputSpec;
        return {
          shape: [...shape],
          dtype: FED_TYPES[dtype],
          values: checked(`input ${name}`, arrays[name], shape, dtype),
        };
      });
      const values = runSession(native, session, inputNodes, feeds, outputNodes);
      return Object.fromEntries(outputNames.map((name, i) => [name, values[i] as Float32Array | Int32Array]));
    },
    readState(names = stateNames) {
      requireAlive();
      if (names.length === 0) return {};
      const nodes = names.map((name) => node.read(stateIndex(name))).join();
      const values = runSession(native, session, "", [], nodes);
      return Object.fromEntries(names.map((name, i) => [name, values[i] as Float32Array]));
    },
    writeState(values) {
      requireAlive();
      const names = Object.keys(values);
      if (names.length === 0) return;
      const indices = names.map(stateIndex);
      const feeds = names.map((name) => {
        const { shape, dtype } = state[name] as Declared[string];
        return { shape, dtype, values: checked(`state ${name}`, values[name], shape, "float32") };
      });
      runSession(native, session, indices.map(node.feed).join(), feeds, indices.map(node.written).join());
    },
    dispose() {
      if (disposed) return;
      disposed = true;
      native.deleteSavedModel(session);
    },
  };
}

export interface Feed {
  shape: number[];
  dtype: number;
  values: Float32Array | Int32Array | Uint8Array;
}

/** Runs the session and reads the results; no native tensor outlives the call, whatever happens. */
export function runSession(...call: Parameters<typeof runHandles>): ArrayLike<number>[] {
  return runHandles(...call).map(({ values }) => values);
}

/** The same with the results' types. */
export function runHandles(
  native: Native,
  session: number,
  feedNodes: string,
  feeds: Feed[],
  fetchNodes: string,
): (TensorInfo & { values: ArrayLike<number> })[] {
  const handles: number[] = [];
  try {
    for (const { shape, dtype, values } of feeds) handles.push(native.createTensor(shape, dtype, values));
    const fed = handles.slice();
    const results = native.runSavedModel(session, fed, feedNodes, fetchNodes);
    handles.push(...results.map((result) => result.id));
    return results.map(({ id, shape, dtype }) => ({ shape, dtype, values: native.tensorDataSync(id) }));
  } finally {
    for (const handle of handles) native.deleteTensor(handle);
  }
}

/** The values, if they are what was declared; `what` names them in the CaptureError if not. */
export function checked<T extends keyof typeof FED_ARRAYS>(
  what: string,
  values: Float32Array | Int32Array | Uint8Array | undefined,
  shape: readonly number[],
  dtype: T,
): Float32Array | Int32Array | Uint8Array {
  if (values === undefined) throw new CaptureError(`${what} is missing`);
  const type = FED_ARRAYS[dtype];
  if (!(values instanceof type))
    throw new CaptureError(`${what} is a ${values.constructor.name}: it takes a ${type.name}`);
  if (values.length !== sizeOf(shape)) {
    throw new CaptureError(
      `${what} has ${values.length} elements: [${shape.join(", ")}] takes ${sizeOf(shape)}`,
    );
  }
  return values;
}
