import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import protobuf from "protobufjs";
import { CaptureError } from "./capture-error.ts";
import type { GraphNode } from "./graph.ts";
import type { Native } from "./native.ts";

/** The parts of TensorFlow's saved_model.proto and below that a graph without functions needs; its field numbers. */
const SCHEMA = `
syntax = "proto3";
message SavedModel { int64 schemaVersion = 1; repeated MetaGraph metaGraphs = 2; }
message MetaGraph { MetaInfo metaInfo = 1; Graph graph = 2; }
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
  const bytes = encodeSavedModel(nodes);
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

function encodeSavedModel(nodes: GraphNode[]): Uint8Array {
  const contents = nodes.reduce((sum, node) => sum + contentBytes(node), 0);
  if (contents > PROTOBUF_LIMIT - PROTOBUF_MARGIN) {
    throw new CaptureError(
      `the constants of the graph hold ${(contents / 1e9).toFixed(2)} GB and a saved graph cannot hold more than 2 GB: ` +
        "pass large tensors as state or inputs instead of closing over them",
    );
  }
  return SavedModel.encode({
    schemaVersion: 1,
    metaGraphs: [{ metaInfo: { tags: [TAG] }, graph: { node: nodes, versions: { producer: PRODUCER } } }],
  }).finish();
}

function contentBytes(node: GraphNode): number {
  const value = node.attr.value;
  return value !== undefined && "tensor" in value ? (value.tensor.tensorContent?.byteLength ?? 0) : 0;
}
