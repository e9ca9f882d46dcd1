import type * as tf from "@tensorflow/tfjs-core";
import { inputRef } from "./captured-graph.ts";
import { constantWriter } from "./constant-writer.ts";
import { type GraphNode, shapeProto } from "./graph.ts";
import { DT, nativeBackend } from "./native.ts";
import { graphAttrs } from "./node-attrs.ts";
import { openBatch, type Sized } from "./open-batch.ts";
import { withoutKernels } from "./own-kernels.ts";
import { FED_TYPES } from "./session.ts";
import { type StepFunction, traceTwice } from "./trace.ts";

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
  input: { name: string; shape: readonly number[]; dtype: "uint8" | "float32" };
  fn: (input: tf.Tensor) => Record<string, tf.Tensor>;
}

/** Two different batch sizes: what differs between the records is what depends on the batch. */
const SIZES = [5, 7] as const;

/**
 * Makes a graph that takes any batch of a function written in tfjs, to be written to a file for others: of TensorFlow's
 * operations alone, since nobody else has ours.
 *
 * @throws CaptureError where something else than a shape depends on the size
 */
export function freezeGraph({ input, fn }: FreezeOptions): FrozenGraph {
  const backend = nativeBackend();
  const fed = FED_TYPES[input.dtype];
  const value = inputRef(0);
  const [small, large] = SIZES.map((batch): Sized => {
    const declared = { ref: value, shape: [batch, ...input.shape], dtype: DT.float, fed };
    const step: StepFunction = (inputs) => ({ outputs: fn(inputs[input.name]!) });
    const trace = withoutKernels(() => traceTwice(backend, step, { [input.name]: declared }, {}));
    return { batch, trace };
  }) as [Sized, Sized];
  const { trace, nodes: growing } = openBatch(small, large);
  const shape = [-1, ...input.shape];
  const cast = { SrcT: { type: fed }, DstT: { type: DT.float }, Truncate: { b: false } };
  const nodes: GraphNode[] = [
    {
      name: input.name,
      op: "Placeholder",
      input: [],
      attr: { dtype: { type: fed }, shape: { shape: shapeProto(shape) } },
    },
    { name: value.split(":")[0]!, op: "Cast", input: [`${input.name}:0`], attr: cast },
    ...growing,
  ];
  const refer = constantWriter(nodes);
  for (const { name, op, attrs, operands } of trace.ops)
    nodes.push({
      ...{ name, op },
      input: operands.map((operand) => refer(operand)),
      attr: graphAttrs(backend.binding, op, attrs, operands),
    });
  const outputs = Object.entries(trace.outputs).map(([name, { operand, dtype, shape: first }]): Port => {
    nodes.push({ name, op: "Identity", input: [refer(operand)], attr: { T: { type: dtype } } });
    const grows = large.trace.outputs[name]!.shape[0] === large.batch && first[0] === small.batch;
    return { name, dtype, shape: grows ? [-1, ...first.slice(1)] : first };
  });
  return { nodes, input: { name: input.name, dtype: fed, shape }, outputs };
}
