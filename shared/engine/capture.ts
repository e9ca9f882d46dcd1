import { CaptureError } from "./capture-error.ts";
import { graphOf, inputRef, node } from "./captured-graph.ts";
import { DT, nativeBackend } from "./native.ts";
import { loadGraph } from "./saved-model.ts";
import { type Captured, capturedSession, checked, FED_TYPES, type InputSpec } from "./session.ts";
import { type Declared, type StepFunction, type Trace, traceTwice, typeName } from "./trace.ts";

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
  const inputs: Declared = {};
  for (const [i, [name, spec]] of Object.entries(options.inputs).entries()) {
    const fed = FED_TYPES[spec.dtype];
    if (fed === undefined)
      throw new CaptureError(`input ${name} has dtype ${spec.dtype}: use float32, int32 or uint8`);
    requireShape(`input ${name}`, spec.shape);
    inputs[name] = {
      ref: inputRef(i),
      shape: [...spec.shape],
      dtype: fed === DT.uint8 ? DT.float : fed,
      fed,
    };
  }
  const { state, initial } = declaredState(options.state ?? {});
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

/** Where the graph reads each state, and its first value; throws CaptureError for one that is not as declared. */
export function declaredState(states: NonNullable<CaptureOptions["state"]>): {
  state: Declared;
  initial: Record<string, Float32Array>;
} {
  const initial: Record<string, Float32Array> = {};
  const state: Declared = {};
  for (const [i, [name, { shape, values }]] of Object.entries(states).entries()) {
    requireShape(`state ${name}`, shape);
    state[name] = { ref: `${node.read(i)}:0`, shape: [...shape], dtype: DT.float, fed: DT.float };
    initial[name] = checked(`state ${name}`, values, shape, "float32") as Float32Array;
  }
  return { state, initial };
}

function requireShape(what: string, shape: readonly number[]): void {
  if (shape.every((size) => Number.isInteger(size) && size >= 0)) return;
  throw new CaptureError(
    `${what} has shape [${shape.join(", ")}]: a captured graph has fixed sizes, whole numbers from 0`,
  );
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
