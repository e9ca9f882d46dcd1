import { CaptureError } from "./capture-error.ts";
import { graphOf, inputRef, node } from "./captured-graph.ts";
import { gatherWithoutReading } from "./gather.ts";
import { sizeOf } from "./graph.ts";
import { DT, type Native, nativeBackend } from "./native.ts";
import { loadGraph } from "./saved-model.ts";
import { type Declared, type StepFunction, type Trace, traceTwice, typeName } from "./trace.ts";

/** A uint8 input reaches the function as float32 with the values 0..255. */
export interface InputSpec {
  shape: readonly number[];
  dtype: "float32" | "int32" | "uint8";
}

export type Arrays = Record<string, Float32Array | Int32Array | Uint8Array>;
export type Results = Record<string, Float32Array | Int32Array>;

export interface CaptureOptions {
  inputs: Record<string, InputSpec>;
  /** Float32 tensors that live in the graph from step to step, with their first values. */
  state?: Record<string, { shape: readonly number[]; values: Float32Array }>;
  /**
   * One step in plain tfjs operations. It is called twice, with tensors that have no values. Tensors from outside and
   * numbers that JavaScript computes are frozen at their present values.
   */
  fn: StepFunction;
}

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

const FED_TYPES = { float32: DT.float, int32: DT.int32, uint8: DT.uint8 } as const;
const FED_ARRAYS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array } as const;

/**
 * Makes one native graph of a function written in tfjs, so that a step is one call instead of one for each operation.
 *
 * The function must do the same each time: one that reads values back to JavaScript (dataSync, whereAsync, …),
 * draws random numbers in JavaScript, returns a promise, keeps tensors or assigns variables is refused with
 * CaptureError. What JavaScript computes from something that only changes between steps (a learning rate, a step
 * count) cannot be seen: pass it as an input.
 */
export function captureStep(options: CaptureOptions): Captured {
  const backend = nativeBackend();
  const native = backend.binding;
  gatherWithoutReading();
  const inputs: Declared = {};
  for (const [i, [name, spec]] of Object.entries(options.inputs).entries()) {
    const fed = FED_TYPES[spec.dtype];
    if (fed === undefined)
      throw new CaptureError(`input ${name} has dtype ${spec.dtype}: use float32, int32 or uint8`);
    inputs[name] = {
      ref: inputRef(i),
      shape: [...spec.shape],
      dtype: fed === DT.uint8 ? DT.float : fed,
      fed,
    };
  }
  const initial: Record<string, Float32Array> = {};
  const state: Declared = {};
  for (const [i, [name, { shape, values }]] of Object.entries(options.state ?? {}).entries()) {
    state[name] = { ref: `${node.read(i)}:0`, shape: [...shape], dtype: DT.float, fed: DT.float };
    initial[name] = values;
  }
  const trace = traceTwice(backend, options.fn, inputs, state);
  requireState(trace, state);
  const outputNames = Object.keys(trace.outputs);
  const session = loadGraph(native, graphOf(native, trace, inputs, state, outputNames));
  const captured = capturedSession(native, session, options.inputs, state, outputNames);
  try {
    captured.writeState(initial);
  } catch (error) {
    captured.dispose();
    throw error;
  }
  return captured;
}

function requireState(trace: Trace, state: Declared): void {
  for (const [name, value] of Object.entries(trace.state)) {
    const declared = state[name];
    if (declared === undefined) {
      throw new CaptureError(
        `the function returned state ${name}, which was not declared (${Object.keys(state).join(", ")})`,
      );
    }
    if (typeName(declared) !== typeName(value)) {
      throw new CaptureError(
        `state ${name} is ${typeName(declared)} but its new value is ${typeName(value)}`,
      );
    }
  }
}

function capturedSession(
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

interface Feed {
  shape: number[];
  dtype: number;
  values: Float32Array | Int32Array | Uint8Array;
}

/** Runs the session and reads the results; no native tensor outlives the call, whatever happens. */
function runSession(
  native: Native,
  session: number,
  feedNodes: string,
  feeds: Feed[],
  fetchNodes: string,
): ArrayLike<number>[] {
  const handles: number[] = [];
  try {
    for (const { shape, dtype, values } of feeds) handles.push(native.createTensor(shape, dtype, values));
    const fed = handles.slice();
    const results = native.runSavedModel(session, fed, feedNodes, fetchNodes);
    handles.push(...results.map((result) => result.id));
    return results.map((result) => native.tensorDataSync(result.id));
  } finally {
    for (const handle of handles) native.deleteTensor(handle);
  }
}

function checked<T extends keyof typeof FED_ARRAYS>(
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
