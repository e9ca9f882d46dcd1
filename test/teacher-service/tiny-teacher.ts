import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BitConfig, initBit, type Weights, writeWeights } from "@funmatch/models";

/** The smallest BiT that has everything: four stages of one unit, half width. */
export const TINY: BitConfig = { blocks: [1, 1, 1, 1], width: 0.5, classes: 7 };

/** Random weights; unlike a fresh student's, the head is not zero, so that logits differ from image to image. */
export function randomBit(config: BitConfig, seed = 1): Weights {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const weights = initBit(config, (_name, count) => Float32Array.from({ length: count }, normal));
  weights["head/kernel"]!.values.forEach((_, i, values) => {
    values[i] = normal() / 10;
  });
  return weights;
}

/** Writes weights and a config into a new directory. `extra` is appended to the config as YAML. */
export async function writeTeacher(o: {
  config?: BitConfig;
  resolution?: number;
  batchSizes?: number[];
  modelExtra?: string;
  extra?: string;
}): Promise<{ configPath: string; weights: Weights; weightsPath: string }> {
  const directory = mkdtempSync(join(tmpdir(), "funmatch-teacher-"));
  const weights = randomBit(o.config ?? TINY);
  const weightsPath = join(directory, "teacher.npz");
  await writeWeights(weightsPath, weights);
  const configPath = join(directory, "teacher.yaml");
  writeFileSync(
    configPath,
    `listen: { host: 127.0.0.1, port: 0 }
models:
  tiny: { format: npz, path: teacher.npz, resolution: ${o.resolution ?? 32}, valueRange: [-1, 1]${o.modelExtra ?? ""} }
batchSizes: [${o.batchSizes ?? [1, 4, 8]}]
threads: 1
${o.extra ?? ""}`,
  );
  return { configPath, weights, weightsPath };
}

/** Pixels of noise. */
export function noise(length: number, seed = 7): Uint8Array<ArrayBuffer> {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}
