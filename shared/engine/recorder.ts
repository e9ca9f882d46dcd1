import { CaptureError } from "./capture-error.ts";
import { type Constant, constantOf, difference } from "./constant.ts";
import { type InferMemo, inferOutputs, type Operand } from "./infer.ts";
import { DT, type Native, type NativeAttr, type TensorHandle, type TensorInfo } from "./native.ts";
import { readingOperation } from "./reading-operation.ts";
import { isShapeWork } from "./shape-work.ts";

export interface RecordedOp {
  name: string;
  op: string;
  attrs: NativeAttr[];
  operands: Operand[];
  outputs: TensorInfo[];
}

/** What two recordings of one function share. */
export interface RecorderMemory {
  types: InferMemo;
  /** Constants by the number of their native tensor; the binding never gives a number twice. */
  constants: Map<number, Constant>;
}

export interface Recorder {
  /** Stands in for the backend's binding while the function runs. */
  binding: Native;
  ops: RecordedOp[];
  /** A tensor that the graph will be given: input or state. */
  declare(ref: string, info: TensorInfo): TensorHandle;
  operand(id: number): Operand;
  /** A recorded tensor in words: "the result of Relu", "an input or state". */
  describe(id: number): string;
  /** The first thing that was refused; the function may have swallowed the error. */
  refusal(): CaptureError | undefined;
}

/** Tensors without values have numbers from here on; the binding counts from 0. */
const FIRST_SYMBOL = 2 ** 30;

/** Operations whose results' shapes depend on values: a graph has one shape for each tensor. */
const VALUE_SHAPED = new Set(["Where", "UniqueV2", "NonMaxSuppressionV3", "NonMaxSuppressionV5"]);

/**
 * A binding that writes down the operations it is asked for instead of computing them: its tensors have a type and no
 * values. With `expected`, the record of the function's first run, it refuses the first thing that differs.
 */
export function createRecorder(native: Native, memory: RecorderMemory, expected?: RecordedOp[]): Recorder {
  const symbols = new Map<number, { ref: string } & TensorInfo>();
  const ops: RecordedOp[] = [];
  let refused: CaptureError | undefined;
  const refuse = (message: string): never => {
    const error = new CaptureError(message);
    refused ??= error;
    throw error;
  };
  const declare = (ref: string, { shape, dtype }: TensorInfo): TensorHandle => {
    const id = FIRST_SYMBOL + symbols.size;
    symbols.set(id, { ref, shape, dtype });
    return { id, shape, dtype };
  };
  const operand = (id: number): Operand => {
    const symbol = symbols.get(id);
    if (symbol !== undefined) return symbol;
    let constant = memory.constants.get(id);
    if (constant === undefined) {
      constant = outsideConstant(native, id);
      memory.constants.set(id, constant);
    }
    return { constant };
  };
  const describe = (id: number): string => {
    const node = symbols.get(id)?.ref.split(":")[0];
    const op = ops.find((candidate) => candidate.name === node);
    return op === undefined ? "an input or state" : `the result of ${op.op}`;
  };
  const computed = (...call: Parameters<Native["executeOp"]>): TensorHandle[] => {
    const results = native.executeOp(...call);
    for (const { id, shape, dtype } of results) {
      if (dtype === DT.int32)
        memory.constants.set(id, constantOf(shape, dtype, native.tensorDataSync(id) as Int32Array));
    }
    return results;
  };
  const executeOp = (op: string, attrs: NativeAttr[], ids: number[], outputs: number): TensorHandle[] => {
    const operands = ids.map(operand);
    if (isShapeWork(op, operands)) return computed(op, attrs, ids, outputs);
    const before = expected?.[ops.length];
    if (expected !== undefined) {
      const change =
        before === undefined
          ? `${op} came where the function had ended`
          : changed(before, op, attrs, operands);
      if (change !== undefined) refuse(change);
    }
    if (VALUE_SHAPED.has(op) || (op === "NonMaxSuppressionV4" && !padded(attrs))) {
      refuse(`${op}: the shape of its result depends on values, and a captured graph has fixed shapes`);
    }
    if (outputs === 0) refuse(`${op} has no result, only an effect: it cannot be part of a captured graph`);
    const infos =
      before?.outputs ?? inferOutputs(native, memory.types, { op, attrs, operands, ids, outputs });
    if (infos.some((info) => info.dtype === DT.resource))
      refuse(`${op} makes a resource: pass state as state`);
    const name = `n${ops.length}_${op}`;
    ops.push({ name, op, attrs, operands, outputs: infos });
    return infos.map((info, port) => declare(`${name}:${port}`, info));
  };
  const recording = {
    executeOp,
    createTensor(shape: number[], dtype: number, values: Parameters<Native["createTensor"]>[2]): number {
      const id = native.createTensor(shape, dtype, values);
      memory.constants.set(id, constantOf(shape, dtype, values as ArrayLike<unknown>));
      return id;
    },
    deleteTensor(id: number): void {
      if (!symbols.has(id)) native.deleteTensor(id);
    },
    tensorDataSync(id: number): ReturnType<Native["tensorDataSync"]> {
      const symbol = symbols.get(id);
      if (symbol === undefined) return native.tensorDataSync(id);
      const what = describe(id);
      return refuse(
        `${readingOperation()} reads the values of ${what} back to JavaScript, and there are none while a graph is captured`,
      );
    },
    loadSavedModel: (): never => refuse("captureStep was called inside a captured function"),
    runSavedModel: (): never => refuse("a captured function was run inside another one"),
  };
  // The binding's own properties are read-only, so they cannot be assigned over.
  const binding = Object.create(native, Object.getOwnPropertyDescriptors(recording)) as Native;
  return { binding, ops, declare, operand, describe, refusal: () => refused };
}

function padded(attrs: NativeAttr[]): boolean {
  return attrs.some((attr) => attr.name === "pad_to_max_output_size" && attr.value === true);
}

/** A tensor made before the capture: its values are what they are now. */
function outsideConstant(native: Native, id: number): Constant {
  const [copy] = native.executeOp("Identity", [], [id], 1);
  if (copy === undefined) throw new Error("Identity gave no result");
  native.deleteTensor(copy.id);
  return constantOf(copy.shape, copy.dtype, native.tensorDataSync(id));
}

/** How an operation differs from the one recorded in its place, or undefined. */
function changed(
  before: RecordedOp,
  op: string,
  attrs: NativeAttr[],
  operands: Operand[],
): string | undefined {
  const hint = "pass what changes as an input";
  if (before.op !== op)
    return `the function ran ${before.op} the first time and ${op} the second: it must be the same`;
  const attr = attrs.find((candidate, i) => JSON.stringify(candidate) !== JSON.stringify(before.attrs[i]));
  if (attr !== undefined) {
    const old = before.attrs.find((candidate) => candidate.name === attr.name);
    return `attribute ${attr.name} of ${op} changed from ${JSON.stringify(old?.value)} to ${JSON.stringify(attr.value)}: ${hint}`;
  }
  if (before.operands.length !== operands.length) {
    return `${op} had ${before.operands.length} inputs the first time and ${operands.length} the second`;
  }
  for (const [i, operand] of operands.entries()) {
    const change = operandChange(before.operands[i] as Operand, operand);
    if (change !== undefined) return `${change.replace("{op}", op)}: ${hint}`;
  }
  return undefined;
}

/** How one operand differs, with `{op}` for its consumer, or undefined. */
export function operandChange(before: Operand, after: Operand): string | undefined {
  if ("constant" in before && "constant" in after) {
    const change = difference(before.constant, after.constant);
    return change && `a constant fed to {op} changed ${change}`;
  }
  if ("ref" in before && "ref" in after && before.ref === after.ref) return undefined;
  return "{op} took its input from another place the second time";
}
