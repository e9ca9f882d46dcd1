import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { dirname, join } from "node:path";
import protobuf from "protobufjs";
import { readBoundedFile } from "./bounded-file.ts";
import { ModelFileError } from "./network.ts";

/** The parts of onnx.proto that tell what a file holds; its field numbers. Contents of tensors are passed over. */
const SCHEMA = `
syntax = "proto3";
message Model { int64 irVersion = 1; Graph graph = 7; repeated Function functions = 25; }
message Graph { repeated Node node = 1; repeated Tensor initializer = 5; repeated Sparse sparseInitializer = 15; }
message Function { repeated Node node = 7; }
message Node { repeated Attribute attribute = 5; }
message Attribute {
  Tensor t = 5; Graph g = 6; repeated Tensor tensors = 10; repeated Graph graphs = 11;
  Sparse sparseTensor = 22; repeated Sparse sparseTensors = 23;
}
message Sparse { Tensor values = 1; Tensor indices = 2; }
message Tensor {
  repeated int64 dims = 1; int32 dataType = 2; string name = 8;
  repeated Entry externalData = 13; int32 dataLocation = 14;
}
message Entry { string key = 1; string value = 2; }
`;

interface ModelMessage {
  irVersion: number;
  graph: GraphMessage | null;
  functions: { node: NodeMessage[] }[];
}
interface GraphMessage {
  node: NodeMessage[];
  initializer: TensorMessage[];
  sparseInitializer: SparseMessage[];
}
interface NodeMessage {
  attribute: {
    t: TensorMessage | null;
    g: GraphMessage | null;
    tensors: TensorMessage[];
    graphs: GraphMessage[];
    sparseTensor: SparseMessage | null;
    sparseTensors: SparseMessage[];
  }[];
}
interface SparseMessage {
  values: TensorMessage | null;
  indices: TensorMessage | null;
}
interface TensorMessage {
  dims: number[];
  dataType: number;
  name: string;
  externalData: { key: string; value: string }[];
  dataLocation: number;
}

const Model = protobuf.parse(SCHEMA).root.lookupType("Model");
const EXTERNAL = 1;
/** float32, float16, float64, bfloat16 */
const FLOATING = new Set([1, 10, 11, 16]);
/** Protobuf's own limit. */
const MOST_BYTES = 2 ** 31 - 1;

/** An ONNX file as read and looked through, before any runtime sees it. */
export interface OnnxFile {
  readonly bytes: Uint8Array;
  /** Whether some weights lie in files beside it, so that it must be loaded by its path. */
  readonly hasExternalData: boolean;
  /** SHA-256 (hex) of the file and, where weights lie beside it, of those files by name. */
  readonly sha256: string;
  /** Numbers in all floating-point weights together. */
  readonly parameters: number;
}

/**
 * Reads an ONNX file and what belongs to it. Only its structure is decoded; weights beside it must lie in its own
 * directory.
 *
 * @throws ModelFileError when it is no ONNX file
 */
export async function readOnnxFile(path: string): Promise<OnnxFile> {
  const bytes = await readBoundedFile(path, MOST_BYTES, {
    tooLong: (size) => `${path}: ${size} bytes, more than an ONNX file can have: save its weights beside it`,
  });
  const { graph, functions } = decode(bytes, path);
  const tensors = graph!.initializer;
  const everywhere = [...tensorsOf(graph!), ...functions.flatMap(({ node }) => node.flatMap(tensorsOfNode))];
  const beside = [
    ...new Set(everywhere.filter((t) => t.dataLocation === EXTERNAL).map((t) => locationOf(t, path))),
  ].sort();
  const digest = createHash("sha256").update(bytes);
  for (const name of beside) digest.update(`\n${JSON.stringify(name)}\n`).update(await hashOf(path, name));
  return {
    bytes,
    hasExternalData: beside.length > 0,
    sha256: digest.digest("hex"),
    parameters: tensors
      .filter((tensor) => FLOATING.has(tensor.dataType))
      .reduce((sum, { dims }) => sum + dims.reduce((product, size) => product * size, 1), 0),
  };
}

/** All tensors of a graph, those in its nodes and in the graphs within them too. */
function tensorsOf({ initializer, sparseInitializer, node }: GraphMessage): TensorMessage[] {
  return [...initializer, ...sparseInitializer.flatMap(tensorsOfSparse), ...node.flatMap(tensorsOfNode)];
}

function tensorsOfNode({ attribute }: NodeMessage): TensorMessage[] {
  return attribute.flatMap(({ t, g, tensors, graphs, sparseTensor, sparseTensors }) => [
    ...(t ? [t] : []),
    ...tensors,
    ...[...(g ? [g] : []), ...graphs].flatMap(tensorsOf),
    ...[...(sparseTensor ? [sparseTensor] : []), ...sparseTensors].flatMap(tensorsOfSparse),
  ]);
}

function tensorsOfSparse({ values, indices }: SparseMessage): TensorMessage[] {
  return [values, indices].filter((tensor) => tensor !== null);
}

function decode(bytes: Buffer, path: string): ModelMessage {
  if (bytes[0] === 0x80 || bytes.subarray(0, 2).toString("latin1") === "PK")
    throw new ModelFileError(
      `${path} is not an ONNX file: it looks like a pickle, as PyTorch saves them, and pickles are not opened; export it with torch.onnx.export`,
    );
  let model: ModelMessage;
  try {
    const options = { longs: Number, defaults: true, arrays: true };
    model = Model.toObject(Model.decode(bytes), options) as ModelMessage;
  } catch (error) {
    throw new ModelFileError(`${path} is not an ONNX file, or is cut off: ${(error as Error).message}`);
  }
  if (!(model.irVersion > 0) || !model.graph)
    throw new ModelFileError(`${path} is not an ONNX file: it holds no graph`);
  return model;
}

function locationOf(tensor: TensorMessage, path: string): string {
  const location = tensor.externalData.find((entry) => entry.key === "location")?.value ?? "";
  if (!/^[^/\\]+$/.test(location) || location === "." || location === "..")
    throw new ModelFileError(
      `${path}: the weights ${tensor.name} lie in "${location}", which is not a file in the same directory`,
    );
  return location;
}

async function hashOf(path: string, name: string): Promise<Buffer> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(join(dirname(path), name))) hash.update(chunk as Buffer);
  } catch (error) {
    throw new ModelFileError(
      `${path}: its weights in ${name} cannot be read: ${(error as NodeJS.ErrnoException).code}`,
    );
  }
  return hash.digest();
}
