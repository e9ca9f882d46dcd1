import { type ModelConfig, membersOf, type NetworkConfig } from "../config/model-config.ts";
import type { Phases } from "../life/phases.ts";
import { openEnsemble } from "./ensemble.ts";
import { inParts } from "./in-parts.ts";
import { ModelFileError, type Network } from "./network.ts";
import { openNpz } from "./npz.ts";
import { openOnnx } from "./onnx.ts";
import { openTensorflow } from "./savedmodel.ts";

/**
 * Images that ONNX Runtime computes at once, for each thread: fewer leave threads waiting for each other, with more the
 * caches do not hold what one layer writes until the next reads it. TensorFlow with our operations gains nothing by it.
 */
const IMAGES_A_THREAD = 4;

/**
 * Loads the network, or networks, that a model's config names.
 *
 * @param threads inside one operation; TensorFlow takes its own from the environment
 * @param enter told when the files are read, and when they are made into what computes
 * @throws ModelFileError or ArrayFileError when a file is not what the config says
 */
export async function openNetwork(
  model: ModelConfig,
  threads: number,
  enter: Phases["enter"] = () => {},
): Promise<Network> {
  if (model.format !== "ensemble") return openOne(model, threads, enter);
  const members = new Map<string, Network>();
  for (const [name, member] of Object.entries(model.members)) {
    try {
      members.set(name, await openOne(member, threads, enter));
    } catch (error) {
      throw new ModelFileError(`member ${name}: ${(error as Error).message}`);
    }
  }
  return openEnsemble(model, members);
}

async function openOne(model: NetworkConfig, threads: number, enter: Phases["enter"]): Promise<Network> {
  enter("weights");
  const onRead = () => enter("graph");
  switch (model.format) {
    case "npz":
      return openNpz(model, onRead);
    case "onnx":
      return inParts(await openOnnx(model, threads, onRead), IMAGES_A_THREAD * threads);
    case "savedmodel":
      return openTensorflow(model, onRead);
    case "tfjs":
      // tfjs's layers and converter take a moment to load, and most models are none of theirs.
      return (await import("./tfjs.ts")).openTfjs(model, onRead);
  }
}

/** Whether a model is computed by TensorFlow, or by a runtime of its own. */
export function needsTensorflow(model: ModelConfig): boolean {
  return membersOf(model).some(({ format }) => format !== "onnx");
}
