import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import protobuf from "protobufjs";
import { ModelFileError } from "./network.ts";

/** The parts of onnx.proto that tell what a file holds; its field numbers. Contents of tensors are passed over. */
const SCHEMA = `
syntax = "proto3";
message Model { int64 irVersion = 1; Graph graph = 7; }
message Graph { repeated Tensor initializer = 5; }
message Tensor {
  repeated int64 dims = 1; int32 dataType = 2; string name = 8;
  repeated Entry externalData = 13; int32 dataLocation = 14;
}
message Entry { string key = 1; string value = 2; }
`;

interface ModelMessage {
  irVersion: number;
  graph?: { initializer: TensorMessage[] };
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
  const bytes = await readBounded(path);
  const { graph } = decode(bytes, path);
  const tensors = graph!.initializer;
  const beside = [
    ...new Set(tensors.filter((t) => t.dataLocation === EXTERNAL).map((t) => locationOf(t, path))),
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

async function readBounded(path: string): Promise<Buffer> {
  try {
    const { size } = await stat(path);
    if (size > MOST_BYTES)
      throw new ModelFileError(
        `${path}: ${size} bytes, more than an ONNX file can have: save its weights beside it`,
      );
    return await readFile(path);
  } catch (error) {
    if (error instanceof ModelFileError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new ModelFileError(code === "ENOENT" ? `there is no file ${path}` : `cannot read ${path}: ${code}`);
  }
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
