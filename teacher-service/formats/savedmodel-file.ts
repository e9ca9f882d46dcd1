import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readBoundedFile } from "./bounded-file.ts";
import { ModelFileError } from "./network.ts";
import {
  decodeSavedModel,
  type MetaGraph,
  type Node,
  type Shape,
  type TensorMessage,
} from "./savedmodel-proto.ts";

const MOST_BYTES = 2 ** 31 - 1;
/** float32, float64, bfloat16, float16 */
const FLOATING = new Set([1, 2, 14, 19]);
const DTYPES: Record<number, string> = {
  1: "float32",
  2: "float64",
  3: "int32",
  4: "uint8",
  7: "string",
  9: "int64",
};
/** What a network has no use for and somebody who wants to harm has: reading and writing any file, running Python. */
const DANGEROUS =
  /^(ReadFile|WriteFile|MatchingFiles|WholeFileReader(V2)?|.*PyFunc.*|SaveSlices|TextLineDataset|TFRecordDataset.*|.*Debug(Identity|NumericSummary).*|PrintV2|Save|SaveDatasetV?2?)$/;

/** A tensor that a signature names. */
export interface SignatureTensor {
  /** As a session knows it, such as `StatefulPartitionedCall:0`. */
  readonly name: string;
  readonly dtype: string;
  /** undefined where its rank is open; sizes that are open are undefined. */
  readonly shape: readonly (number | undefined)[] | undefined;
}

/** A SavedModel as its files say, before TensorFlow sees it. */
export interface SavedModelFile {
  readonly tags: readonly string[];
  readonly inputs: Readonly<Record<string, SignatureTensor>>;
  readonly outputs: Readonly<Record<string, SignatureTensor>>;
  /** SHA-256 (hex) of its files: graph, variables, assets. */
  readonly sha256: string;
  /** Numbers in all its floating-point variables, or, where it has none, constants. */
  readonly parameters: number;
}

/**
 * Reads what a SavedModel's directory says of itself.
 *
 * @throws ModelFileError when it is none, lacks the signature, or holds operations that touch files or run Python
 */
export async function readSavedModel(directory: string, signature: string): Promise<SavedModelFile> {
  const graph = servingGraph(decodeSavedModel(await readGraph(directory), directory), directory);
  const found = Object.hasOwn(graph.signatures, signature) ? graph.signatures[signature] : undefined;
  if (!found) {
    const names = Object.keys(graph.signatures).filter((name) => !name.startsWith("__"));
    throw new ModelFileError(
      `${directory} has no signature ${signature}: ${names.length > 0 ? `there is ${names.join(", ")}` : "it has none"}`,
    );
  }
  const nodes = [
    graph.graph?.node ?? [],
    ...(graph.graph?.library?.function ?? []).map((each) => each.node),
  ].flat();
  const dangerous = nodes.find(({ op }) => DANGEROUS.test(op));
  if (dangerous)
    throw new ModelFileError(
      `${directory} holds the operation ${dangerous.op}, which a network has no use for`,
    );
  return {
    tags: graph.metaInfo?.tags ?? [],
    inputs: tensorsOf(found.inputs),
    outputs: tensorsOf(found.outputs),
    sha256: await digestOf(directory),
    parameters: parametersOf(graph.graph?.node ?? [], nodes),
  };
}

function readGraph(directory: string): Promise<Buffer> {
  const path = join(directory, "saved_model.pb");
  return readBoundedFile(path, MOST_BYTES, {
    tooLong: (size) => `${path}: ${size} bytes, more than a graph can have`,
    missing: `${directory} is no SavedModel: there is no saved_model.pb in it`,
  });
}

/** The graph for serving; TensorFlow 1's Hub modules have one without tags. */
function servingGraph(graphs: MetaGraph[], directory: string): MetaGraph {
  const serving = graphs.find(({ metaInfo }) => metaInfo?.tags.includes("serve")) ?? graphs[0];
  if (!serving) throw new ModelFileError(`${directory}: saved_model.pb holds no graph`);
  return serving;
}

function tensorsOf(messages: Record<string, TensorMessage>): Record<string, SignatureTensor> {
  return Object.fromEntries(
    Object.entries(messages).map(([key, { name, dtype, tensorShape }]) => [
      key,
      { name, dtype: DTYPES[dtype] ?? `type ${dtype}`, shape: sizesOf(tensorShape) },
    ]),
  );
}

function sizesOf(shape: Shape | null): (number | undefined)[] | undefined {
  if (!shape || shape.unknownRank) return undefined;
  return shape.dim.map(({ size }) => (size < 0 ? undefined : size));
}

/** A variable may be named by several handles; the one that is given its value counts. */
function parametersOf(graph: Node[], all: Node[]): number {
  const assigned = new Set(graph.filter(({ op }) => op === "AssignVariableOp").map(({ input }) => input[0]));
  const handles = graph.filter(({ op }) => op === "VarHandleOp" || op === "VariableV2");
  const given = handles.filter(({ name }) => assigned.has(name) || assigned.has(`${name}:0`));
  const variables = (given.length > 0 ? given : handles)
    .filter(({ attr }) => FLOATING.has(attr.dtype?.type ?? 0))
    .reduce((sum, { attr }) => sum + elements(attr.shape?.shape), 0);
  if (variables > 0) return variables;
  return all
    .flatMap(({ op, attr }) => (op === "Const" ? (attr.value?.tensor ?? []) : []))
    .filter(({ dtype }) => FLOATING.has(dtype))
    .reduce((sum, { tensorShape }) => sum + elements(tensorShape), 0);
}

function elements(shape: Shape | null | undefined): number {
  const sizes = sizesOf(shape ?? null) ?? [];
  return sizes.reduce<number>((product, size) => product * (size ?? 0), 1);
}

/** Of the files that the model is computed from, by name; not of the fingerprint, which names the export. */
async function digestOf(directory: string): Promise<string> {
  const hash = createHash("sha256");
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .filter((name) => name === "saved_model.pb" || /^(variables|assets)[/\\]/.test(name))
    .sort();
  for (const name of files) {
    const content = createHash("sha256");
    for await (const chunk of createReadStream(join(directory, name))) content.update(chunk as Buffer);
    hash.update(`${JSON.stringify([name.replaceAll("\\", "/"), content.digest("hex")])}\n`);
  }
  return hash.digest("hex");
}
