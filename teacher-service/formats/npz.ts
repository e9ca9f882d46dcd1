import { captureAnyBatch, type Forward, loadEngine } from "@funmatch/engine";
import {
  inferenceOf,
  type LoadedNetwork,
  loadNetwork,
  parameterCount,
  teacherVersion,
  trainedOf,
  valueRange,
} from "@funmatch/models";
import type * as tf from "@tensorflow/tfjs-core";
import type { NpzConfig } from "../config/model-config.ts";
import { gather } from "../forward/gather.ts";
import type { Facts, Network } from "./network.ts";

const CHANNELS = 3;

/** Loads one of our own networks from an `.npz` file: one captured graph for all batch sizes. `onRead`: the file is read. */
export async function openNpz(model: NpzConfig, onRead: () => void): Promise<Network> {
  const { path: _path, ...engine } = await loadEngine();
  const { facts, forward } = await capture(model, engine, onRead);
  return {
    facts,
    compute: (pass) => forward.run(gather(pass, model)),
  };
}

/** A function of its own, so that the weights that it read are let go of: the graph has them. */
async function capture(
  model: NpzConfig,
  engine: Facts["runtime"],
  onRead: () => void,
): Promise<{ facts: Facts; forward: Forward }> {
  const { resolution, resize } = model;
  const loaded = await loadNetwork(model.path, resolution);
  onRead();
  const { parameters, logits } = inferenceOf(loaded);
  const forward = captureAnyBatch({
    image: [resolution, resolution, CHANNELS],
    parameters,
    fn: (images, p) => logits(p, valueRange(images as tf.Tensor4D, model.valueRange)),
  });
  const facts = {
    version: teacherVersion(loaded.weights, {
      preprocessing: { resolution, valueRange: model.valueRange, resize },
      output: { kind: "logits" },
      compute: "float32",
    }),
    classes: loaded.config.classes,
    parameters: parameterCount(trainedOf(loaded.weights)),
    runtime: {
      ...engine,
      compute: "float32",
      architecture: architectureOf(loaded.config),
      versionOf: "weights",
    },
  };
  return { facts, forward };
}

function architectureOf(config: LoadedNetwork["config"]): string {
  switch (config.kind) {
    case "bit":
      return `bit ${config.blocks.join("-")} x${config.width}`;
    case "mobilenetv3":
      return `mobilenetv3 ${config.size} x${config.width}`;
    case "vit":
      return `vit ${config.depth} x${config.width}/${config.patch} ${config.pool}`;
  }
}
