import { type ModelConfig, membersOf, type NetworkConfig } from "../model-config.ts";
import { openEnsemble } from "./ensemble.ts";
import { ModelFileError, type Network } from "./network.ts";
import { openNpz } from "./npz.ts";
import { openOnnx } from "./onnx.ts";
import { openTensorflow } from "./savedmodel.ts";

/**
 * Loads the network, or networks, that a model's config names.
 *
 * @param threads inside one operation; TensorFlow takes its own from the environment
 * @throws ModelFileError or ArrayFileError when a file is not what the config says
 */
export async function openNetwork(model: ModelConfig, threads: number): Promise<Network> {
  if (model.format !== "ensemble") return openOne(model, threads);
  const members = new Map<string, Network>();
  for (const [name, member] of Object.entries(model.members)) {
    try {
      members.set(name, await openOne(member, threads));
    } catch (error) {
      throw new ModelFileError(`member ${name}: ${(error as Error).message}`);
    }
  }
  return openEnsemble(model, members);
}

async function openOne(model: NetworkConfig, threads: number): Promise<Network> {
  switch (model.format) {
    case "npz":
      return openNpz(model);
    case "onnx":
      return openOnnx(model, threads);
    case "savedmodel":
      return openTensorflow(model);
    case "tfjs":
      // tfjs's layers and converter take a moment to load, and most models are none of theirs.
      return (await import("./tfjs.ts")).openTfjs(model);
  }
}

/** Whether a model is computed by TensorFlow, or by a runtime of its own. */
export function needsTensorflow(model: ModelConfig): boolean {
  return membersOf(model).some(({ format }) => format !== "onnx");
}
