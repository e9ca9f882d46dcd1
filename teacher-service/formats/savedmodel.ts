import { loadEngine, type OpenedGraph, openSavedModel } from "@funmatch/engine";
import { teacherVersionOf } from "@funmatch/models";
import type { SavedModelConfig } from "../config/model-config.ts";
import { asLogits } from "../forward/output-rule.ts";
import { layOuter, preprocessingOf } from "../forward/preprocess.ts";
import { pictureInput } from "./input-shape.ts";
import { namedTensor } from "./named-tensor.ts";
import { ModelFileError, type Network } from "./network.ts";
import { requireRows } from "./rows.ts";
import { rulesOf } from "./rules.ts";
import { readSavedModel, type SavedModelFile, type SignatureTensor } from "./savedmodel-file.ts";

/**
 * Loads a TensorFlow SavedModel: Keras's `model.export`, `tf.saved_model.save`, TF Hub.
 *
 * @param onRead the files are read
 * @throws ModelFileError when it is none, or has no input or output that fits
 */
export async function openTensorflow(model: SavedModelConfig, onRead: () => void): Promise<Network> {
  const { path, resolution, signature } = model;
  const file = await readSavedModel(path, signature);
  onRead();
  const [inputName, input] = namedTensor(path, "input", model.input, file.inputs);
  const [outputName, output] = namedTensor(path, "output", model.output, file.outputs);
  if (input.dtype !== "float32")
    throw new ModelFileError(`${path}: input ${inputName} is ${input.dtype}, only float32 is served`);
  const { layout, batch } = pictureInput(model, `${path}: input ${inputName}`, input.shape);
  const preprocessing = preprocessingOf(model, layout);
  const layOut = layOuter(preprocessing);
  const { path: _path, ...engine } = await loadEngine();
  const graph = open(path, file, input, output);

  function run(images: Float32Array, size: number): { values: Float32Array; classes: number } {
    const shape = layout === "nhwc" ? [size, resolution, resolution, 3] : [size, 3, resolution, resolution];
    const found = graph.run(images, shape);
    return { values: found.values, classes: requireRows(`${path}: output ${outputName}`, size, found.shape) };
  }

  const first = batch ?? 1;
  const { classes } = run(new Float32Array(first * resolution * resolution * 3), first);
  return {
    facts: {
      version: teacherVersionOf(
        "files",
        file.sha256,
        rulesOf(model, preprocessing, `${signature}/${outputName}`),
      ),
      classes,
      parameters: file.parameters,
      runtime: {
        ...engine,
        compute: "float32",
        architecture: `savedmodel ${inputName} ${layout} -> ${outputName}`,
        versionOf: "files",
      },
      ...(batch !== undefined && { batchSizes: [batch] }),
    },
    compute: (pass) => asLogits(run(layOut(pass), pass.size).values, model.outputs),
  };
}

function open(
  path: string,
  file: SavedModelFile,
  input: SignatureTensor,
  output: SignatureTensor,
): OpenedGraph {
  try {
    return openSavedModel(path, { tags: file.tags, input: input.name, output: output.name });
  } catch (error) {
    throw new ModelFileError(`${path}: TensorFlow does not take it: ${(error as Error).message}`);
  }
}
