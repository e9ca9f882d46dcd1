import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import protobuf from "protobufjs";
import { CaptureError } from "./capture-error.ts";
import type { FrozenGraph, Port } from "./frozen-graph.ts";
import { type GraphNode, shapeProto } from "./graph.ts";
import type { Native } from "./native.ts";

/** The parts of TensorFlow's saved_model.proto and below that a graph without functions needs; its field numbers. */
const SCHEMA = `
syntax = "proto3";
message SavedModel { int64 schemaVersion = 1; repeated MetaGraph metaGraphs = 2; }
message MetaGraph { MetaInfo metaInfo = 1; Graph graph = 2; map<string, Signature> signatures = 5; }
message Signature { map<string, TensorInfo> inputs = 1; map<string, TensorInfo> outputs = 2; string methodName = 3; }
message TensorInfo { string name = 1; int32 dtype = 2; Shape tensorShape = 3; }
message MetaInfo { repeated string tags = 4; }
message Graph { repeated Node node = 1; Versions versions = 4; }
message Versions { int32 producer = 1; }
message Node { string name = 1; string op = 2; repeated string input = 3; map<string, AttrValue> attr = 5; }
message AttrValue {
  message List { repeated int64 i = 3; repeated float f = 4; repeated bool b = 5; }
  oneof value {
    List list = 1; bytes s = 2; int64 i = 3; float f = 4; bool b = 5; int32 type = 6; Shape shape = 7; Tensor tensor = 8;
  }
}
message Shape { message Dim { int64 size = 1; } repeated Dim dim = 2; }
message Tensor { int32 dtype = 1; Shape tensorShape = 2; bytes tensorContent = 4; repeated bytes stringVal = 8; }
`;

const TAG = "captured";
/** The tag by which TensorFlow's tools find what is to be served. */
const SERVING_TAG = "serve";
const PROTOBUF_LIMIT = 2 ** 31 - 1;
/** Room for what is not tensor contents: names, attributes, shapes. */
const PROTOBUF_MARGIN = 64 * 2 ** 20;
/** A version of the graph format at which no operation that tfjs uses has another meaning than today. */
const PRODUCER = 1882;

const SavedModel = protobuf.parse(SCHEMA).root.lookupType("SavedModel");

/**
 * Loads the nodes as a session of the binding and returns its number. The graph passes through a directory of its
 * own under the system's temporary one, which is gone when this returns. Throws CaptureError above protobuf's 2 GB.
 */
export function loadGraph(native: Native, nodes: GraphNode[]): number {
  const bytes = encodeSavedModel(nodes, TAG);
  const directory = mkdtempSync(join(tmpdir(), "funmatch-graph-"));
  try {
    writeFileSync(join(directory, "saved_model.pb"), bytes);
    return load(native, directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function load(native: Native, directory: string): number {
  try {
    return native.loadSavedModel(directory, TAG);
  } catch (error) {
    throw new CaptureError(`TensorFlow does not take the captured graph: ${(error as Error).message.trim()}`);
  }
}

/**
 * Writes `saved_model.pb` into a directory: a SavedModel for serving, as TensorFlow's own tools load it. Its graphs,
 * by the names of their signatures, have no node's name in common. Throws CaptureError above protobuf's 2 GB.
 */
export function writeSavedModel(directory: string, graphs: Record<string, FrozenGraph>): void {
  const signatures = Object.entries(graphs).map(([name, { input, outputs }]) => [
    name,
    {
      inputs: tensorInfos([input]),
      outputs: tensorInfos(outputs),
      methodName: "tensorflow/serving/predict",
    },
  ]);
  mkdirSync(directory, { recursive: true });
  const nodes = Object.values(graphs).flatMap((graph) => graph.nodes);
  const bytes = encodeSavedModel(nodes, SERVING_TAG, Object.fromEntries(signatures));
  writeFileSync(join(directory, "saved_model.pb"), bytes);
}

function tensorInfos(ports: Port[]): Record<string, object> {
  return Object.fromEntries(
    ports.map(({ name, dtype, shape }) => [
      name,
      { name: `${name}:0`, dtype, tensorShape: shapeProto(shape) },
    ]),
  );
}

function encodeSavedModel(
  nodes: GraphNode[],
  tag: string,
  signatures: Record<string, object> = {},
): Uint8Array {
  const contents = nodes.reduce((sum, node) => sum + contentBytes(node), 0);
  if (contents > PROTOBUF_LIMIT - PROTOBUF_MARGIN) {
    throw new CaptureError(
      `the constants of the graph hold ${(contents / 1e9).toFixed(2)} GB and a saved graph cannot hold more than 2 GB: ` +
        "pass large tensors as state or inputs instead of closing over them",
    );
  }
  return SavedModel.encode({
    schemaVersion: 1,
    metaGraphs: [
      { metaInfo: { tags: [tag] }, graph: { node: nodes, versions: { producer: PRODUCER } }, signatures },
    ],
  }).finish();
}

function contentBytes(node: GraphNode): number {
  const value = node.attr.value;
  return value !== undefined && "tensor" in value ? (value.tensor.tensorContent?.byteLength ?? 0) : 0;
}
