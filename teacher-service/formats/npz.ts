import { type Captured, captureStep, loadEngine } from "@funmatch/engine";
import {
  bit,
  bitConfigOf,
  loadBitWeights,
  parameterCount,
  teacherVersion,
  valueRange,
} from "@funmatch/models";
import type { ImageDtype } from "@funmatch/wire";
import type * as tf from "@tensorflow/tfjs-core";
import { gather } from "../gather.ts";
import type { NpzConfig } from "../model-config.ts";
import type { Network } from "./network.ts";

const CHANNELS = 3;

/** Loads a BiT from an `.npz` file: one captured graph for each batch size and input dtype. */
export async function openNpz(model: NpzConfig): Promise<Network> {
  const { path: _path, ...engine } = await loadEngine();
  const weights = await loadBitWeights(model.path);
  const config = bitConfigOf(weights);
  const network = bit(config);
  const captured = new Map<string, Captured>();

  function capture(size: number, input: ImageDtype): Captured {
    const shape = [size, model.resolution, model.resolution, CHANNELS];
    return captureStep({
      inputs: { images: { shape, dtype: input } },
      state: weights,
      fn: ({ images }, parameters) => ({
        outputs: { logits: network(parameters, valueRange(images as tf.Tensor4D, model.valueRange)).logits },
      }),
    });
  }

  return {
    facts: {
      version: teacherVersion(weights, {
        preprocessing: { resolution: model.resolution, valueRange: model.valueRange, resize: model.resize },
        output: { kind: "logits" },
        compute: "float32",
      }),
      classes: config.classes,
      parameters: parameterCount(weights),
      runtime: {
        ...engine,
        compute: "float32",
        architecture: `bit ${config.blocks.join("-")} x${config.width}`,
      },
    },
    prepare(size) {
      for (const input of ["uint8", "float32"] as const)
        captured.set(`${input}/${size}`, capture(size, input));
    },
    keep(sizes) {
      for (const [name, graph] of captured) {
        if (sizes.some((size) => name.endsWith(`/${size}`))) continue;
        graph.dispose();
        captured.delete(name);
      }
    },
    compute(pass) {
      const graph = captured.get(`${pass.input}/${pass.size}`);
      if (!graph) throw new Error(`no batch size ${pass.size} of ${pass.input} was captured`);
      return graph.run({ images: gather(pass, model) }).logits as Float32Array;
    },
  };
}
