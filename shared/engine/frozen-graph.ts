import type * as tf from "@tensorflow/tfjs-core";
import { CaptureError } from "./capture-error.ts";
import { type Constant, difference } from "./constant.ts";
import { constantWriter } from "./constant-writer.ts";
import { type GraphNode, shapeProto } from "./graph.ts";
import { DT, nativeBackend } from "./native.ts";
import { graphAttrs } from "./node-attrs.ts";
import type { RecordedOp } from "./recorder.ts";
import { FED_TYPES, type InputSpec } from "./session.ts";
import { type Trace, traceTwice } from "./trace.ts";

/** An input or output of a graph, called after the node that is fed or asked for. */
export interface Port {
  name: string;
  dtype: number;
  /** -1 for the batch. */
  shape: number[];
}

/** A function as a graph without state, in which everything it closed over is a constant. */
export interface FrozenGraph {
  nodes: GraphNode[];
  input: Port;
  outputs: Port[];
}

export interface FreezeOptions {
  /** `shape` of one example: the input has a batch before it. */
  input: { name: string } & InputSpec;
  fn: (input: tf.Tensor) => Record<string, tf.Tensor>;
}

/** Batch sizes that the function is recorded with; what differs between them is what depends on the batch. */
const SIZES = [5, 7, 11] as const;
const BATCH = "batch_size";

/**
 * Makes a graph that takes any batch of a function written in tfjs, to be written to a file for others. tfjs writes
 * the batch into the shapes that it reshapes to, so the function is recorded with several sizes, and whole numbers
 * that grow with the size by a fixed step are computed from the input's shape instead.
 *
 * @throws CaptureError where something else depends on the size
 */
export function freezeGraph({ input, fn }: FreezeOptions): FrozenGraph {
  const backend = nativeBackend();
  const fed = FED_TYPES[input.dtype];
  const dtype = fed === DT.uint8 ? DT.float : fed;
  const value = `${input.name}_value`;
  const [first, ...others] = SIZES.map((size) =>
    traceTwice(
      backend,
      (inputs) => ({ outputs: fn(inputs[input.name]!) }),
      { [input.name]: { ref: `${value}:0`, shape: [size, ...input.shape], dtype, fed } },
      {},
    ),
  ) as [Trace, Trace, Trace];
  const shape = [-1, ...input.shape];
  const nodes: GraphNode[] = [
    {
      name: input.name,
      op: "Placeholder",
      input: [],
      attr: { dtype: { type: fed }, shape: { shape: shapeProto(shape) } },
    },
    {
      name: value,
      op: "Cast",
      input: [`${input.name}:0`],
      attr: { SrcT: { type: fed }, DstT: { type: dtype }, Truncate: { b: false } },
    },
  ];
  const refer = constantWriter(nodes);
  const batch = batchWriter(nodes, refer, `${value}:0`, dtype);
  for (const [i, op] of first.ops.entries()) {
    const alike = others.map((trace) => sameOp(op, trace.ops[i]));
    nodes.push({
      name: op.name,
      op: op.op,
      input: op.operands.map((operand, k) => {
        if ("ref" in operand) return operand.ref;
        const seen = [operand.constant, ...alike.map((other) => constantAt(other, k))];
        const fixed = seen.every((one) => difference(seen[0]!, one) === undefined);
        return fixed ? refer(operand) : batch.vector(`${op.name}_${k}`, op.op, seen);
      }),
      attr: graphAttrs(backend.binding, op.op, op.attrs, op.operands),
    });
  }
  const outputs = Object.entries(first.outputs).map(([name, traced]): Port => {
    nodes.push({ name, op: "Identity", input: [refer(traced.operand)], attr: { T: { type: traced.dtype } } });
    const sizes = [first, ...others].map((trace) => trace.outputs[name]!.shape[0]);
    const grows = sizes.every((size, i) => size === SIZES[i]);
    return { name, dtype: traced.dtype, shape: grows ? [-1, ...traced.shape.slice(1)] : traced.shape };
  });
  return { nodes, input: { name: input.name, dtype: fed, shape }, outputs };
}

function sameOp(op: RecordedOp, other: RecordedOp | undefined): RecordedOp {
  if (other?.op === op.op && JSON.stringify(other.attrs) === JSON.stringify(op.attrs)) return other;
  throw new CaptureError(
    `${op.op} is computed otherwise for another batch size: a graph for any size cannot be made`,
  );
}

function constantAt(op: RecordedOp, place: number): Constant {
  const operand = op.operands[place];
  if (operand && "constant" in operand) return operand.constant;
  throw new CaptureError(`${op.op} takes a constant or not, depending on the batch size`);
}

/** Writes whole numbers that depend on the batch as `fixed + step * batch`. */
function batchWriter(
  nodes: GraphNode[],
  refer: ReturnType<typeof constantWriter>,
  input: string,
  dtype: number,
) {
  const int = (...values: number[]) => refer({ constant: ints(values, [values.length]) });
  const T = { type: DT.int32 };
  const writeBatch = () => {
    if (nodes.some(({ name }) => name === BATCH)) return;
    nodes.push({
      name: `${BATCH}_shape`,
      op: "Shape",
      input: [input],
      attr: { T: { type: dtype }, out_type: T },
    });
    const masks = { begin_mask: 0, end_mask: 0, ellipsis_mask: 0, new_axis_mask: 0, shrink_axis_mask: 1 };
    nodes.push({
      name: BATCH,
      op: "StridedSlice",
      input: [`${BATCH}_shape:0`, int(0), int(1), int(1)],
      attr: { T, Index: T, ...Object.fromEntries(Object.entries(masks).map(([name, i]) => [name, { i }])) },
    });
  };
  return {
    vector(name: string, consumer: string, seen: Constant[]): string {
      const values = seen.map(intsOf);
      const steps = values[0]!.map((v, i) => (values[1]![i]! - v) / (SIZES[1] - SIZES[0]));
      const fixed = values[0]!.map((v, i) => v - steps[i]! * SIZES[0]);
      const holds = values[2]!.every((v, i) => v === fixed[i]! + steps[i]! * SIZES[2]);
      if (!holds || !steps.every(Number.isInteger))
        throw new CaptureError(`${consumer} takes numbers that depend on the batch size in no simple way`);
      const growing = steps.filter((step) => step !== 0);
      if (consumer === "Reshape" && growing.length === 1)
        return refer({
          constant: ints(
            fixed.map((v, i) => (steps[i] === 0 ? v : -1)),
            seen[0]!.shape,
          ),
        });
      writeBatch();
      const [scaled, sum] = [`${name}_scaled`, `${name}_sum`];
      const operand = (values: number[]) => refer({ constant: ints(values, seen[0]!.shape) });
      nodes.push({ name: scaled, op: "Mul", input: [operand(steps), `${BATCH}:0`], attr: { T } });
      nodes.push({ name: sum, op: "AddV2", input: [operand(fixed), `${scaled}:0`], attr: { T } });
      return `${sum}:0`;
    },
  };
}

function ints(values: number[], shape: number[]): Constant {
  const { buffer } = Int32Array.from(values);
  return { shape, dtype: DT.int32, content: new Uint8Array(buffer), uniform: false };
}

function intsOf({ dtype, content, uniform }: Constant): number[] {
  if (dtype !== DT.int32 || uniform || !(content instanceof Uint8Array))
    throw new CaptureError("a tensor of the function depends on the batch size: only shapes may");
  return [...new Int32Array(content.slice().buffer)];
}
