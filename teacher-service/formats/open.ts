import type { ModelConfig } from "../model-config.ts";
import type { Network } from "./network.ts";
import { openNpz } from "./npz.ts";
import { openOnnx } from "./onnx.ts";
import { openTensorflow } from "./savedmodel.ts";

/**
 * Loads the network that a model's config names.
 *
 * @param threads inside one operation; TensorFlow takes its own from the environment
 * @throws ModelFileError or ArrayFileError when the file is not what the config says
 */
export function openNetwork(model: ModelConfig, threads: number): Promise<Network> {
  switch (model.format) {
    case "npz":
      return openNpz(model);
    case "onnx":
      return openOnnx(model, threads);
    case "savedmodel":
      return openTensorflow(model);
  }
}

/** Whether a model is computed by TensorFlow, or by a runtime of its own. */
export function needsTensorflow(model: ModelConfig): boolean {
  return model.format !== "onnx";
}
