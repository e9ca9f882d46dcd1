import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  bitBlocks,
  type NetworkConfig,
  networkOf,
  vitVariant,
  type Weights,
  writeWeights,
} from "@funmatch/models";
import type { Compute } from "../../student-trainer/learn/step.ts";
import { noise, noiseBytes } from "../noise.ts";

/** A network that is trained, and on how much at once. */
export interface StepSize {
  /** What `--row` calls it. */
  key: string;
  name: string;
  model: NetworkConfig;
  batch: number;
  resolution: number;
}

/** What every side is told: all of them read the same files. */
export interface StepTask extends StepSize {
  /** The path of the first weights, an `.npz`. */
  weights: string;
  /** A folder with `images-<step>.bin`, uint8 [N,R,R,3], and `targets-<step>.bin`, float32 [N,K], for each step. */
  batches: string;
  dtype: Compute;
  learningRate: number;
  weightDecay: number;
  clip: number;
}

const r50 = { kind: "bit", blocks: bitBlocks(50), width: 1, classes: 1000 } as const;
const r26 = { kind: "bit", blocks: bitBlocks(26), width: 0.5, classes: 10 } as const;
const mobilenet = { kind: "mobilenetv3", size: "large", width: 1, classes: 1000, momentum: 0.999 } as const;
const vit = { kind: "vit", positions: "learn", pool: "gap" } as const;
const vitS = {
  ...vit,
  ...vitVariant("S"),
  patch: 16,
  image: [128, 128],
  classes: 1000,
} satisfies NetworkConfig;

export const SIZES: StepSize[] = [
  named("r50", "BiT-R50", { model: r50, batch: 16, resolution: 128 }),
  named("r50-32", "BiT-R50", { model: r50, batch: 32, resolution: 128 }),
  named("r26", "BiT-R26x0.5", { model: r26, batch: 64, resolution: 64 }),
  named("mobilenet", "MobileNetV3-large", { model: mobilenet, batch: 32, resolution: 128 }),
  named("vit", "ViT-S/16", { model: vitS, batch: 16, resolution: 128 }),
];

const tinyBit = { kind: "bit" as const, blocks: [1, 1, 1, 1], classes: 10 };
const tinyMobilenet = { ...mobilenet, width: 0.25, classes: 10 };
const tinyVit: NetworkConfig = {
  ...vit,
  ...{ width: 64, depth: 2, mlp: 128, heads: 2, patch: 8, image: [32, 32], classes: 10 },
};

export const TINY_SIZES: StepSize[] = [
  named("bit", "BiT, tiny", { model: { ...tinyBit, width: 1 }, batch: 4, resolution: 32 }),
  named("bit-half", "BiT of half the width, tiny", {
    model: { ...tinyBit, width: 0.5 },
    batch: 4,
    resolution: 32,
  }),
  named("mobilenet", "MobileNetV3-large, tiny", { model: tinyMobilenet, batch: 4, resolution: 64 }),
  named("vit", "ViT, tiny", { model: tinyVit, batch: 4, resolution: 32 }),
];

function named(key: string, network: string, size: Omit<StepSize, "key" | "name">): StepSize {
  const { batch, resolution, model } = size;
  return { key, name: `${network}, ${resolution} px, batch ${batch}, ${model.classes} classes`, ...size };
}

/** Writes first weights and the batches of some steps into a folder. */
export async function writeTask(size: StepSize, steps: number, folder: string): Promise<StepTask> {
  const { key, model, batch, resolution } = size;
  const batches = join(folder, key);
  const weights = `${batches}.npz`;
  mkdirSync(batches);
  await writeWeights(weights, firstWeights(model));
  for (let step = 0; step < steps; step++) {
    const images = noiseBytes(`images ${step}`, batch * resolution * resolution * 3);
    writeFileSync(join(batches, `images-${step}.bin`), images);
    writeFileSync(join(batches, `targets-${step}.bin`), noise(`targets ${step}`, batch * model.classes));
  }
  return { ...size, weights, batches, dtype: "float32", learningRate: 3e-5, weightDecay: 1e-4, clip: 1 };
}

/** With a head that is not zero: else the first losses would say little about the network before it. */
function firstWeights(model: NetworkConfig): Weights {
  const weights = networkOf(model).init(noise);
  const head = weights["head/kernel"]!;
  const scale = Math.sqrt(model.classes / head.values.length);
  return {
    ...weights,
    "head/kernel": { ...head, values: noise("head", head.values.length).map((z) => z * scale) },
  };
}
