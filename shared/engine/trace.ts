import * as tf from "@tensorflow/tfjs-core";
import { CaptureError } from "./capture-error.ts";
import { gatherWithoutReading } from "./gather.ts";
import type { Operand } from "./infer.ts";
import { dtypeName, type NativeBackend, type TensorInfo } from "./native.ts";
import { createRecorder, operandChange, type RecordedOp, type RecorderMemory } from "./recorder.ts";
import { standIn } from "./stand-in.ts";

export type StepFunction = (
  inputs: Record<string, tf.Tensor>,
  state: Record<string, tf.Tensor>,
) => { outputs: Record<string, tf.Tensor>; state?: Record<string, tf.Tensor> };

/** A tensor of the graph and its type. */
export type Traced = { operand: Operand } & TensorInfo;

export interface Trace {
  ops: RecordedOp[];
  outputs: Record<string, Traced>;
  state: Record<string, Traced>;
}

/** The tensors that the graph is given, by name: where the function finds them, their types, and what is fed for them. */
export type Declared = Record<string, { ref: string; fed: number } & TensorInfo>;

/**
 * Writes down the operations of `fn`, twice, and returns the record. Throws CaptureError where the second run differs
 * from the first, where values are read back, and where results are not tensors.
 */
export function traceTwice(
  backend: NativeBackend,
  fn: StepFunction,
  inputs: Declared,
  state: Declared,
): Trace {
  gatherWithoutReading();
  const memory: RecorderMemory = { types: new Map(), constants: new Map() };
  const first = trace(backend, fn, inputs, state, memory);
  const second = trace(backend, fn, inputs, state, memory, first.ops);
  requireSameEnd(first, second);
  return first;
}

function trace(
  backend: NativeBackend,
  fn: StepFunction,
  inputs: Declared,
  state: Declared,
  memory: RecorderMemory,
  expected?: RecordedOp[],
): Trace {
  const recorder = createRecorder(backend.binding, memory, expected);
  const engine = tf.engine();
  const tensorsOf = (declared: Declared): Record<string, tf.Tensor> =>
    Object.fromEntries(
      Object.entries(declared).map(([name, { ref, ...info }]) => [
        name,
        backend.createOutputTensor(recorder.declare(ref, info)),
      ]),
    );
  const tracedOf = (kind: string, tensors: Record<string, tf.Tensor> | undefined): Record<string, Traced> =>
    Object.fromEntries(
      Object.entries(tensors ?? {}).map(([name, tensor]) => {
        if (!(tensor instanceof tf.Tensor)) throw new CaptureError(`${kind} ${name} is not a tensor`);
        if (tensor.isDisposed)
          throw new CaptureError(`${kind} ${name} was disposed before the function returned it`);
        const operand = recorder.operand(backend.getInputTensorIds([tensor])[0] as number);
        const { dtype } = "constant" in operand ? operand.constant : operand;
        return [name, { operand, shape: [...tensor.shape], dtype }];
      }),
    );
  const restore = standIn(backend, recorder);
  engine.startScope("capture");
  let result: Trace | undefined;
  let thrown: unknown;
  let kept: string | undefined;
  try {
    const returned: unknown = fn(tensorsOf(inputs), tensorsOf(state));
    requirePlainResult(returned, recorder.refusal());
    result = {
      ops: recorder.ops,
      outputs: tracedOf("output", returned.outputs),
      state: tracedOf("state", returned.state),
    };
  } catch (error) {
    thrown = error;
  } finally {
    engine.endScope();
    kept = restore();
  }
  const refusal = recorder.refusal();
  if (refusal !== undefined) throw refusal;
  if (result === undefined) throw thrown;
  if (kept !== undefined) {
    throw new CaptureError(
      `the function kept ${kept} for later (tf.keep, tf.variable), but it has no values: return it, or make it outside`,
    );
  }
  return result;
}

function requirePlainResult(
  returned: unknown,
  refusal: CaptureError | undefined,
): asserts returned is ReturnType<StepFunction> {
  if (typeof (returned as PromiseLike<unknown> | undefined)?.then === "function") {
    (returned as PromiseLike<unknown>).then(undefined, () => {});
    throw (
      refusal ?? new CaptureError("the function returned a promise: a captured function runs synchronously")
    );
  }
  const outputs = (returned as { outputs?: unknown } | undefined)?.outputs;
  if (typeof outputs !== "object" || outputs === null) {
    throw new CaptureError(
      "the function must return { outputs: { name: tensor }, state?: { name: tensor } }",
    );
  }
}

function requireSameEnd(first: Trace, second: Trace): void {
  if (second.ops.length < first.ops.length) {
    const missing = first.ops[second.ops.length] as RecordedOp;
    throw new CaptureError(
      `${missing.op} ran the first time and not the second: the function must do the same each time`,
    );
  }
  for (const kind of ["outputs", "state"] as const) {
    const names = [Object.keys(first[kind]).sort().join(), Object.keys(second[kind]).sort().join()];
    if (names[0] !== names[1])
      throw new CaptureError(`the ${kind} changed from {${names[0]}} to {${names[1]}}`);
    for (const [name, traced] of Object.entries(first[kind])) {
      const change = operandChange(traced.operand, (second[kind][name] as Traced).operand);
      if (change !== undefined) throw new CaptureError(change.replace("{op}", `${kind} ${name}`));
    }
  }
}

/** A type in words, as messages write it. */
export function typeName(info: TensorInfo): string {
  return `${dtypeName(info.dtype)} [${info.shape.join(", ")}]`;
}
