import { captureAnyBatch, type Forward, loadEngine } from "@funmatch/engine";
import { teacherVersionOf } from "@funmatch/models";
import { loadGraphModel } from "@tensorflow/tfjs-converter";
import type * as tf from "@tensorflow/tfjs-core";
import { loadLayersModel } from "@tensorflow/tfjs-layers";
import type { TfjsConfig } from "../config/model-config.ts";
import { asLogits } from "../forward/output-rule.ts";
import { layOuter, preprocessingOf } from "../forward/preprocess.ts";
import { pictureInput } from "./input-shape.ts";
import { namedTensor } from "./named-tensor.ts";
import { ModelFileError, type Network } from "./network.ts";
import { requireRows } from "./rows.ts";
import { rulesOf } from "./rules.ts";
import { readTfjsFiles, type TfjsFiles } from "./tfjs-files.ts";

/** A model of either kind, as far as it is needed here. */
interface TfjsModel {
  /** Shapes by name; null where a size is open. */
  inputs: Record<string, readonly (number | null)[] | undefined>;
  outputs: Record<string, true>;
  /** One output of one input. */
  apply(input: string, images: tf.Tensor, output: string): tf.Tensor;
  dispose(): void;
}

/**
 * Loads a tfjs GraphModel or LayersModel and captures its forward pass as one graph.
 *
 * @param onRead the files are read
 * @throws ModelFileError when it is none, or has no input or output that fits
 */
export async function openTfjs(model: TfjsConfig, onRead: () => void): Promise<Network> {
  const { path, resolution } = model;
  const files = await readTfjsFiles(path);
  onRead();
  const { path: _path, ...engine } = await loadEngine();
  const network = await load(files, path);
  const [input, shape] = namedTensor(path, "input", model.input, network.inputs);
  const [output] = namedTensor(path, "output", model.output, network.outputs);
  const sizes = shape?.map((size) => (size === null || size < 0 ? undefined : size));
  const { layout, batch } = pictureInput(model, `${path}: input ${input}`, sizes);
  if (batch !== undefined)
    throw new ModelFileError(`${path}: input ${input} takes ${batch} images only: leave its first size open`);
  const preprocessing = preprocessingOf(model, layout);
  const layOut = layOuter(preprocessing);
  const image = layout === "nhwc" ? [resolution, resolution, 3] : [3, resolution, resolution];
  const forward = capture(network, path, input, image, output);
  network.dispose();

  const run = (images: Float32Array, size: number): Float32Array => {
    const found = forward.run(images);
    if (found.length !== size * classes)
      throw new ModelFileError(`${path}: output ${output} has ${found.length} numbers for ${size} images`);
    return found;
  };
  const classes = requireRows(`${path}: output ${output}`, 1, [
    1,
    forward.run(new Float32Array(resolution * resolution * 3)).length,
  ]);
  return {
    facts: {
      version: teacherVersionOf("files", files.sha256, rulesOf(model, preprocessing, output)),
      classes,
      parameters: files.parameters,
      runtime: {
        ...engine,
        compute: "float32",
        architecture: `tfjs ${files.kind} ${input} ${layout} -> ${output}`,
        versionOf: "files",
      },
    },
    compute: (pass) => asLogits(run(layOut(pass), pass.size), model.outputs),
  };
}

function capture(network: TfjsModel, path: string, input: string, image: number[], output: string): Forward {
  try {
    return captureAnyBatch({
      image,
      parameters: {},
      fn: (images) => {
        const found = network.apply(input, images, output);
        requireRows(`${path}: output ${output}`, images.shape[0]!, found.shape);
        return found;
      },
    });
  } catch (error) {
    if (error instanceof ModelFileError) throw error;
    throw new ModelFileError(`${path}: cannot be captured: ${(error as Error).message}`);
  }
}

async function load(files: TfjsFiles, path: string): Promise<TfjsModel> {
  try {
    return files.kind === "graph" ? await graphModel(files) : await layersModel(files);
  } catch (error) {
    throw new ModelFileError(`${path}: tfjs does not take it: ${(error as Error).message}`);
  }
}

async function graphModel({ handler }: TfjsFiles): Promise<TfjsModel> {
  const model = await loadGraphModel(handler);
  return {
    inputs: Object.fromEntries(model.inputs.map(({ name, shape }) => [name, shape])),
    outputs: Object.fromEntries(model.outputs.map(({ name }) => [name, true])),
    apply: (input, images, output) => model.execute({ [input]: images }, output) as tf.Tensor,
    dispose: () => model.dispose(),
  };
}

async function layersModel({ handler }: TfjsFiles): Promise<TfjsModel> {
  const model = await loadLayersModel(handler);
  // Those of a Sequential model are not under `outputNames`.
  const outputs = model.outputs.map(({ sourceLayer }) => sourceLayer.name);
  return {
    inputs: Object.fromEntries(model.inputs.map(({ name, shape }) => [name, shape])),
    outputs: Object.fromEntries(outputs.map((name) => [name, true])),
    apply(_input, images, output) {
      const found = model.apply(images, { training: false }) as tf.Tensor | tf.Tensor[];
      return [found].flat()[outputs.indexOf(output)]!;
    },
    dispose: () => void model.dispose(),
  };
}
