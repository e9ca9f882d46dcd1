import { CaptureError } from "./capture-error.ts";
import { type Constant, constantNodes } from "./constant.ts";
import { constantWriter, type Refer } from "./constant-writer.ts";
import { type AttrValue, type GraphNode, shapeProto } from "./graph.ts";
import { DT, dtypeName, type Native, type TensorInfo } from "./native.ts";
import { graphAttrs } from "./node-attrs.ts";
import type { Declared, Trace, Traced } from "./trace.ts";

/** Names of the nodes that a session is fed and asked for. */
export const node = {
  input: (index: number) => `input_${index}`,
  state: (index: number) => `state_${index}`,
  read: (index: number) => `state_${index}_read`,
  feed: (index: number) => `state_${index}_feed`,
  written: (index: number) => `state_${index}_written`,
  output: (index: number) => `output_${index}`,
  done: "done",
};

/**
 * The trace as a graph. Every read of a state comes before its assignment, and every output after all assignments,
 * so that one run of the outputs is one whole step computed from the old state.
 */
export function graphOf(
  native: Native,
  trace: Trace,
  inputs: Declared,
  state: Declared,
  outputNames: string[],
): GraphNode[] {
  const nodes: GraphNode[] = [];
  const refer = constantWriter(nodes);
  for (const [i, name] of Object.keys(inputs).entries())
    nodes.push(...inputNodes(i, inputs[name] as Declared[string]));
  for (const [i, name] of Object.keys(state).entries())
    nodes.push(...stateNodes(i, state[name] as Declared[string]));
  for (const { name, op, attrs, operands } of trace.ops) {
    nodes.push({
      name,
      op,
      input: operands.map((operand) => refer(operand, op)),
      attr: graphAttrs(native, op, attrs, operands),
    });
  }
  const assigned: string[] = [];
  for (const [i, name] of Object.keys(state).entries()) {
    const value = trace.state[name];
    if (value === undefined) continue;
    const assign = `state_${i}_assign`;
    nodes.push({
      name: assign,
      op: "AssignVariableOp",
      input: [`${node.state(i)}:0`, refer(value.operand), `^${node.read(i)}`],
      attr: { dtype: { type: DT.float } },
    });
    assigned.push(`^${assign}`);
  }
  for (const [i, name] of outputNames.entries()) {
    nodes.push(outputNode(i, name, trace.outputs[name] as Traced, refer, assigned));
  }
  nodes.push(identity(node.done, refer({ constant: nothing() }), DT.int32, assigned));
  return nodes;
}

function placeholder(name: string, { shape, dtype }: TensorInfo): GraphNode {
  return {
    name,
    op: "Placeholder",
    input: [],
    attr: { dtype: { type: dtype }, shape: { shape: shapeProto(shape) } },
  };
}

function identity(name: string, ref: string, dtype: number, after: string[]): GraphNode {
  return { name, op: "Identity", input: [ref, ...after], attr: { T: { type: dtype } } };
}

/**
 * What is fed shares its memory with a JavaScript array, and a variable may keep the tensor it is assigned. A fed
 * tensor is therefore copied (or cast) once before anything in the graph can hold on to it.
 */
function ownCopy(name: string, ref: string, dtype: number): GraphNode {
  return { name, op: "DeepCopy", input: [ref], attr: { T: { type: dtype } } };
}

/** The operation after a placeholder whose result the function sees. */
export function inputRef(index: number): string {
  return `${node.input(index)}_value:0`;
}

function inputNodes(index: number, { shape, dtype, fed: from }: Declared[string]): GraphNode[] {
  const feed = node.input(index);
  const value = `${feed}_value`;
  const cast: Record<string, AttrValue> = {
    SrcT: { type: from },
    DstT: { type: dtype },
    Truncate: { b: false },
  };
  return [
    placeholder(feed, { shape, dtype: from }),
    from === dtype
      ? ownCopy(value, `${feed}:0`, dtype)
      : { name: value, op: "Cast", input: [`${feed}:0`], attr: cast },
  ];
}

function stateNodes(index: number, info: Declared[string]): GraphNode[] {
  const variable = node.state(index);
  const dtype = { type: info.dtype };
  const shape = { shape: shapeProto(info.shape) };
  const copy = `${node.feed(index)}_copy`;
  const write = `${variable}_write`;
  const one = `${variable}_one`;
  return [
    {
      name: variable,
      op: "VarHandleOp",
      input: [],
      attr: { dtype, shape, shared_name: { s: Buffer.from(variable) }, container: { s: Buffer.from("") } },
    },
    { name: node.read(index), op: "ReadVariableOp", input: [`${variable}:0`], attr: { dtype } },
    placeholder(node.feed(index), info),
    ownCopy(copy, `${node.feed(index)}:0`, info.dtype),
    { name: write, op: "AssignVariableOp", input: [`${variable}:0`, `${copy}:0`], attr: { dtype } },
    ...constantNodes(one, nothing()),
    identity(node.written(index), `${one}:0`, DT.int32, [`^${write}`]),
  ];
}

function nothing(): Constant {
  return { shape: [], dtype: DT.int32, content: new Uint8Array(4), uniform: false };
}

/** Booleans leave the graph as int32. */
function outputNode(
  index: number,
  name: string,
  { operand, dtype }: Traced,
  refer: Refer,
  after: string[],
): GraphNode {
  const ref = refer(operand);
  if (dtype === DT.float || dtype === DT.int32) return identity(node.output(index), ref, dtype, after);
  if (dtype !== DT.bool) {
    throw new CaptureError(`output ${name} is ${dtypeName(dtype)}: outputs are float32, int32 or bool`);
  }
  return {
    name: node.output(index),
    op: "Cast",
    input: [ref, ...after],
    attr: { SrcT: { type: DT.bool }, DstT: { type: DT.int32 }, Truncate: { b: false } },
  };
}
