import { CaptureError } from "./capture-error.ts";
import { inputRef } from "./captured-graph.ts";
import { type Constant, constantNodes, constantOf, difference } from "./constant.ts";
import type { GraphNode } from "./graph.ts";
import type { Operand } from "./infer.ts";
import { DT } from "./native.ts";
import type { RecordedOp } from "./recorder.ts";
import type { Trace } from "./trace.ts";

/** A function traced with a certain number of images. */
export interface Sized {
  batch: number;
  trace: Trace;
}

/**
 * Makes one trace for any number of images of two of the same function. The two differ in the constants that hold a
 * shape; each such number becomes one that the graph works out from the number of images it is fed (the length of its
 * first input).
 *
 * @returns the trace, and the nodes that its operands refer to beside its own
 * @throws CaptureError where anything else differs
 */
export function openBatch(small: Sized, large: Sized): { trace: Trace; nodes: GraphNode[] } {
  const nodes: GraphNode[] = [];
  const known = new Map<string, string>();
  const opened = (before: Operand, after: Operand, op: string): Operand => {
    if (!("constant" in before) || !("constant" in after)) {
      if ("ref" in before && "ref" in after && before.ref === after.ref) return before;
      throw new CaptureError(`${op} takes its input from another place when there are more images`);
    }
    const change = difference(before.constant, after.constant);
    if (change === undefined) return before;
    const { first, each } = lineThrough(op, small.batch, before.constant, large.batch, after.constant);
    const key = `${first}/${each}`;
    let name = known.get(key);
    if (name === undefined) {
      if (known.size === 0) nodes.push(...batchNodes());
      name = `growing_${known.size}`;
      known.set(key, name);
      nodes.push(...growingNodes(name, first, each));
    }
    return { ref: `${name}:0`, shape: before.constant.shape, dtype: DT.int32 };
  };
  if (large.trace.ops.length !== small.trace.ops.length)
    throw new CaptureError("there are other operations when there are more images");
  const ops = small.trace.ops.map((op, i): RecordedOp => {
    const other = large.trace.ops[i];
    if (other?.op !== op.op || JSON.stringify(other.attrs) !== JSON.stringify(op.attrs))
      throw new CaptureError(`${op.op} is another operation when there are more images`);
    const operands = op.operands.map((operand, k) => opened(operand, other.operands[k]!, op.op));
    return { ...op, operands };
  });
  const outputs = Object.entries(small.trace.outputs).map(([name, output]) => {
    const operand = opened(output.operand, large.trace.outputs[name]!.operand, `output ${name}`);
    return [name, { ...output, operand }] as const;
  });
  return { trace: { ...small.trace, ops, outputs: Object.fromEntries(outputs) }, nodes };
}

/** Each element as `first + each · images`. */
function lineThrough(
  op: string,
  a: number,
  before: Constant,
  b: number,
  after: Constant,
): { first: Int32Array; each: Int32Array } {
  if (before.dtype !== DT.int32 || before.shape.length !== 1 || `${before.shape}` !== `${after.shape}`)
    throw new CaptureError(
      `a constant fed to ${op} depends on the number of images and is not a shape: compute it from the images`,
    );
  const [low, high] = [integers(before), integers(after)];
  const each = low.map((value, i) => (high[i]! - value) / (b - a));
  const first = low.map((value, i) => value - each[i]! * a);
  if (first.some((value, i) => value + each[i]! * b !== high[i]))
    throw new CaptureError(`a shape fed to ${op} does not grow evenly with the number of images`);
  return { first, each };
}

function integers({ content }: Constant): Int32Array {
  const bytes = content as Uint8Array;
  return new Int32Array(bytes.slice().buffer);
}

const BATCH = "batch";

/** [the number of images] */
function batchNodes(): GraphNode[] {
  const int32 = { type: DT.int32 };
  return [
    {
      name: `${BATCH}_shape`,
      op: "Shape",
      input: [inputRef(0)],
      attr: { T: { type: DT.float }, out_type: int32 },
    },
    ...constantNodes(`${BATCH}_from`, constantOf([1], DT.int32, Int32Array.of(0))),
    ...constantNodes(`${BATCH}_length`, constantOf([1], DT.int32, Int32Array.of(1))),
    {
      name: BATCH,
      op: "Slice",
      input: [`${BATCH}_shape:0`, `${BATCH}_from:0`, `${BATCH}_length:0`],
      attr: { T: int32, Index: int32 },
    },
  ];
}

function growingNodes(name: string, first: Int32Array, each: Int32Array): GraphNode[] {
  const T = { type: DT.int32 };
  return [
    ...constantNodes(`${name}_first`, constantOf([first.length], DT.int32, first)),
    ...constantNodes(`${name}_each`, constantOf([each.length], DT.int32, each)),
    { name: `${name}_grown`, op: "Mul", input: [`${BATCH}:0`, `${name}_each:0`], attr: { T } },
    { name, op: "AddV2", input: [`${name}_first:0`, `${name}_grown:0`], attr: { T } },
  ];
}
