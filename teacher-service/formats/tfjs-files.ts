import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { io } from "@tensorflow/tfjs-core";
import { z } from "zod";
import { readBoundedFile } from "./bounded-file.ts";
import { ModelFileError } from "./network.ts";

const MOST_TOPOLOGY_BYTES = 256 * 2 ** 20;

/** What of a model.json is looked at here; tfjs looks at the rest. */
const modelJson = z.looseObject({
  format: z.string().optional(),
  modelTopology: z.looseObject({}),
  weightsManifest: z
    .array(
      z.looseObject({
        paths: z.array(z.string().regex(/^[^/\\]+$/, "expected files in the same directory")),
        weights: z.array(
          z.looseObject({
            name: z.string(),
            shape: z.array(z.int().nonnegative()),
            dtype: z.string(),
            quantization: z.looseObject({ dtype: z.string() }).optional(),
          }),
        ),
      }),
    )
    .default([]),
});

const BYTES: Record<string, number> = { float32: 4, int32: 4, uint8: 1, uint16: 2, float16: 2, bool: 1 };

/** A tfjs model as its files say. */
export interface TfjsFiles {
  /** What tfjs's `loadGraphModel` and `loadLayersModel` take. */
  readonly handler: io.IOHandler;
  readonly kind: "graph" | "layers";
  /** SHA-256 (hex) of model.json and the weight files, in their order. */
  readonly sha256: string;
  /** Numbers in all floating-point weights together. */
  readonly parameters: number;
}

/**
 * Reads a tfjs model, GraphModel or LayersModel: `model.json` and the weight files beside it.
 *
 * @param path the directory, or model.json itself
 * @throws ModelFileError when they are none, or the weights are not as long as model.json says
 */
export async function readTfjsFiles(path: string): Promise<TfjsFiles> {
  const file = path.endsWith(".json") ? path : join(path, "model.json");
  const text = await bounded(file, MOST_TOPOLOGY_BYTES, path);
  const model = parsed(text, file);
  const digest = createHash("sha256").update(text);
  const shards: Buffer[] = [];
  for (const { paths, weights } of model.weightsManifest) {
    let missing = weights.reduce((sum, weight) => sum + bytesOf(weight, file), 0);
    for (const name of paths) {
      const bytes = await bounded(join(dirname(file), name), missing, path);
      missing -= bytes.length;
      digest.update(bytes);
      shards.push(bytes);
    }
    if (missing !== 0)
      throw new ModelFileError(`${path}: the weights are ${missing} bytes shorter than ${file} says`);
  }
  const specs = model.weightsManifest.flatMap(({ weights }) => weights);
  const whole = Buffer.concat(shards);
  const data = whole.buffer.slice(whole.byteOffset, whole.byteOffset + whole.length) as ArrayBuffer;
  const artifacts = await io.getModelArtifactsForJSON(model as unknown as io.ModelJSON, async () => [
    specs as unknown as io.WeightsManifestEntry[],
    data,
  ]);
  return {
    handler: { load: async () => artifacts },
    kind: "node" in model.modelTopology || model.format === "graph-model" ? "graph" : "layers",
    sha256: digest.digest("hex"),
    parameters: specs
      .filter(({ dtype }) => dtype === "float32")
      .reduce((sum, { shape }) => sum + elements(shape), 0),
  };
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function bytesOf(
  {
    name,
    shape,
    dtype,
    quantization,
  }: { name: string; shape: number[]; dtype: string; quantization?: { dtype: string } },
  file: string,
): number {
  const each = BYTES[quantization?.dtype ?? dtype];
  if (each === undefined)
    throw new ModelFileError(`${file}: the weights ${name} are ${dtype}, which is not taken`);
  return each * elements(shape);
}

function parsed(text: Buffer, file: string): z.output<typeof modelJson> {
  let json: unknown;
  try {
    json = JSON.parse(text.toString("utf8"));
  } catch (error) {
    throw new ModelFileError(`${file} is damaged or cut off: ${(error as Error).message}`);
  }
  const found = modelJson.safeParse(json);
  if (found.success) return found.data;
  const [issue] = found.error.issues;
  throw new ModelFileError(`${file} is no tfjs model: ${issue!.path.join(".")}: ${issue!.message}`);
}

function bounded(file: string, mostBytes: number, path: string): Promise<Buffer> {
  return readBoundedFile(file, mostBytes, {
    tooLong: (size) => `${path}: ${file} has ${size} bytes, ${mostBytes} were expected at most`,
  });
}
