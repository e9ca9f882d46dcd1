import { teacherVersionOf } from "@funmatch/models";
import type { InferenceSession, Tensor } from "onnxruntime-node";
import type { OnnxConfig } from "../config/model-config.ts";
import { asLogits } from "../forward/output-rule.ts";
import { layOuter, preprocessingOf } from "../forward/preprocess.ts";
import type { Pass } from "../queue/batch.ts";
import { pictureInput } from "./input-shape.ts";
import { namedTensor } from "./named-tensor.ts";
import { ModelFileError, type Network } from "./network.ts";
import { type OnnxFile, readOnnxFile } from "./onnx-file.ts";
import { requireRows } from "./rows.ts";
import { rulesOf } from "./rules.ts";

type Ort = typeof import("onnxruntime-node");

/** How long a thread of a pass looks on for work before it sleeps. */
const LOOK_ON_US = 100;

/**
 * Loads an ONNX network into ONNX Runtime, on the CPU. Its `run` blocks the thread that calls it.
 *
 * @param onRead the files are read
 * @throws ModelFileError when the file is none, or has no input or output that fits
 */
export async function openOnnx(model: OnnxConfig, threads: number, onRead: () => void): Promise<Network> {
  const file = await readOnnxFile(model.path);
  onRead();
  const ort = await loadRuntime();
  const session = await createSession(ort, model.path, file, threads);
  const [, input] = namedTensor(model.path, "input", model.input, byName(session.inputMetadata));
  const [, output] = namedTensor(model.path, "output", model.output, byName(session.outputMetadata));
  if (input.type !== "float32")
    throw new ModelFileError(`${model.path}: input ${input.name} is ${input.type}, only float32 is served`);
  const known = input.shape.map((size) => (typeof size === "number" ? size : undefined));
  const { layout, batch } = pictureInput(model, `${model.path}: input ${input.name}`, known);
  const preprocessing = preprocessingOf(model, layout);
  const layOut = layOuter(preprocessing);

  async function run(images: Float32Array, size: number): Promise<Tensor> {
    const side = model.resolution;
    const shape = layout === "nhwc" ? [size, side, side, 3] : [size, 3, side, side];
    const feeds = { [input.name]: new ort.Tensor("float32", images, shape) };
    const found = (await session.run(feeds, [output.name]))[output.name]!;
    if (found.type !== "float32")
      throw new ModelFileError(`${model.path}: output ${output.name} is ${found.type}, expected float32`);
    requireRows(`${model.path}: output ${output.name}`, size, found.dims);
    return found;
  }

  const first = batch ?? 1;
  const pixels = model.resolution * model.resolution * 3;
  const classes = (await run(new Float32Array(first * pixels), first)).dims[1]!;
  return {
    facts: {
      version: teacherVersionOf("files", file.sha256, rulesOf(model, preprocessing, output.name)),
      classes,
      parameters: file.parameters,
      runtime: {
        engine: `onnxruntime ${ort.env.versions.node ?? ort.env.versions.common}`,
        device: "cpu",
        node: process.versions.node,
        threads,
        compute: "float32",
        architecture: `onnx ${input.name} ${layout} -> ${output.name}`,
        versionOf: "files",
      },
      ...(batch !== undefined && { batchSizes: [batch] }),
    },
    async compute(pass: Pass) {
      const found = await run(layOut(pass), pass.size);
      return asLogits(found.data as Float32Array, model.outputs);
    },
  };
}

async function loadRuntime(): Promise<Ort> {
  try {
    return await import("onnxruntime-node");
  } catch (error) {
    throw new ModelFileError(
      `ONNX models need the optional package onnxruntime-node, which does not load here (${(error as Error).message.split("\n")[0]}): npm install --include=optional`,
    );
  }
}

async function createSession(
  ort: Ort,
  path: string,
  file: OnnxFile,
  threads: number,
): Promise<InferenceSession> {
  const options: InferenceSession.SessionOptions = {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
    // Threads that wait for the next layer look on for a moment before they sleep: to be woken for each takes a third
    // of a small pass. No longer, and not between passes: that would take the cores from the sockets and other models.
    extra: { session: { force_spinning_stop: "1", intra_op: { spin_duration_us: String(LOOK_ON_US) } } },
  };
  try {
    if (file.hasExternalData) return await ort.InferenceSession.create(path, options);
    return await ort.InferenceSession.create(file.bytes, options);
  } catch (error) {
    throw new ModelFileError(`${path}: ONNX Runtime does not take it: ${(error as Error).message}`);
  }
}

function byName(
  all: readonly InferenceSession.ValueMetadata[],
): Record<string, InferenceSession.TensorValueMetadata> {
  return Object.fromEntries(all.filter((each) => each.isTensor).map((each) => [each.name, each]));
}
