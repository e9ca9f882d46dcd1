import protobuf from "protobufjs";
import { ModelFileError } from "./network.ts";

/** The parts of saved_model.proto and below that tell what a model takes and gives; contents of tensors are passed over. */
const SCHEMA = `
syntax = "proto3";
message SavedModel { repeated MetaGraph metaGraphs = 2; }
message MetaGraph { MetaInfo metaInfo = 1; Graph graph = 2; map<string, Signature> signatures = 5; }
message MetaInfo { repeated string tags = 4; }
message Graph { repeated Node node = 1; Library library = 2; }
message Library { repeated Function function = 1; }
message Function { repeated Node node = 3; }
message Node { string name = 1; string op = 2; repeated string input = 3; map<string, Attr> attr = 5; }
message Attr { oneof value { int32 type = 6; Shape shape = 7; Tensor tensor = 8; } }
message Tensor { int32 dtype = 1; Shape tensorShape = 2; }
message Signature { map<string, TensorInfo> inputs = 1; map<string, TensorInfo> outputs = 2; }
message TensorInfo { string name = 1; int32 dtype = 2; Shape tensorShape = 3; }
message Shape { repeated Dim dim = 2; bool unknownRank = 3; }
message Dim { int64 size = 1; }
`;

export interface Shape {
  dim: { size: number }[];
  unknownRank: boolean;
}
export interface Node {
  name: string;
  op: string;
  input: string[];
  attr: Record<
    string,
    { type?: number; shape?: Shape; tensor?: { dtype: number; tensorShape: Shape | null } }
  >;
}
export interface TensorMessage {
  name: string;
  dtype: number;
  tensorShape: Shape | null;
}
export interface MetaGraph {
  metaInfo: { tags: string[] } | null;
  graph: { node: Node[]; library: { function: { node: Node[] }[] } | null } | null;
  signatures: Record<
    string,
    { inputs: Record<string, TensorMessage>; outputs: Record<string, TensorMessage> }
  >;
}

const SavedModel = protobuf.parse(SCHEMA).root.lookupType("SavedModel");

/**
 * The graphs in the bytes of a saved_model.pb.
 *
 * @throws ModelFileError naming the directory when they are none
 */
export function decodeSavedModel(bytes: Buffer, directory: string): MetaGraph[] {
  try {
    const options = { longs: Number, defaults: true, arrays: true, objects: true };
    const model = SavedModel.toObject(SavedModel.decode(bytes), options) as { metaGraphs: MetaGraph[] };
    return model.metaGraphs;
  } catch (error) {
    throw new ModelFileError(
      `${directory}: saved_model.pb is damaged or cut off: ${(error as Error).message}`,
    );
  }
}
