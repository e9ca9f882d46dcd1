import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CaptureError } from "./capture-error.ts";
import type { FrozenGraph, Port } from "./frozen-graph.ts";
import { type AttrValue, type GraphNode, type ShapeProto, shapeProto } from "./graph.ts";
import { DT, dtypeName } from "./native.ts";

/** What tfjs knows; it has no uint8. */
const TFJS_TYPES = new Map<number, { proto: string; dtype: string }>([
  [DT.float, { proto: "DT_FLOAT", dtype: "float32" }],
  [DT.int32, { proto: "DT_INT32", dtype: "int32" }],
  [DT.uint8, { proto: "DT_INT32", dtype: "int32" }],
  [DT.bool, { proto: "DT_BOOL", dtype: "bool" }],
]);

/**
 * Writes a graph as tfjs loads it, in browsers too, with `tf.loadGraphModel`: `model.json` and `weights.bin`. An
 * input of uint8 is one of int32 there.
 *
 * @throws CaptureError for an element type that tfjs does not have
 */
export function writeGraphModel(directory: string, { nodes, input, outputs }: FrozenGraph): void {
  const constants = nodes.flatMap((node) => tensorOf(node) ?? []);
  const model = {
    format: "graph-model",
    generatedBy: "funmatch",
    signature: { inputs: tensorInfos([input]), outputs: tensorInfos(outputs) },
    modelTopology: { node: nodes.map(jsonNode), versions: {} },
    weightsManifest: [
      {
        paths: ["weights.bin"],
        weights: constants.map(({ name, dtype, shape }) => ({ name, shape, dtype: typeOf(dtype).dtype })),
      },
    ],
  };
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "weights.bin"), Buffer.concat(constants.map(({ content }) => content)));
  writeFileSync(join(directory, "model.json"), JSON.stringify(model));
}

function tensorOf({ name, op, attr: { value } }: GraphNode) {
  if (op !== "Const" || !value || !("tensor" in value)) return undefined;
  const { dtype, tensorShape, tensorContent } = value.tensor;
  if (!tensorContent)
    throw new CaptureError(`the constant ${name} holds strings: tfjs has no place for them`);
  return { name, dtype, shape: tensorShape.dim.map(({ size }) => size), content: tensorContent };
}

function tensorInfos(ports: Port[]): Record<string, object> {
  return Object.fromEntries(
    ports.map(({ name, dtype, shape }) => [
      name,
      { name: `${name}:0`, dtype: typeOf(dtype).proto, tensorShape: jsonShape(shapeProto(shape)) },
    ]),
  );
}

function jsonNode({ name, op, input, attr }: GraphNode): object {
  return {
    ...{ name, op, input },
    attr: Object.fromEntries(Object.entries(attr).map(([key, value]) => [key, jsonAttr(value)])),
  };
}

/** As protobuf's JSON mapping has it: bytes in base64, long numbers as text. Contents of tensors are in the weights. */
function jsonAttr(value: AttrValue): object {
  if ("type" in value) return { type: typeOf(value.type).proto };
  if ("s" in value) return { s: Buffer.from(value.s).toString("base64") };
  if ("i" in value) return { i: String(value.i) };
  if ("shape" in value) return { shape: jsonShape(value.shape) };
  if ("tensor" in value)
    return {
      tensor: { dtype: typeOf(value.tensor.dtype).proto, tensorShape: jsonShape(value.tensor.tensorShape) },
    };
  if ("list" in value && value.list.i) return { list: { i: value.list.i.map(String) } };
  return value;
}

function jsonShape({ dim }: ShapeProto): object {
  return { dim: dim.map(({ size }) => ({ size: String(size) })) };
}

function typeOf(dtype: number) {
  const type = TFJS_TYPES.get(dtype);
  if (!type) throw new CaptureError(`tfjs has no ${dtypeName(dtype)}`);
  return type;
}
