import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bitBlocks, initBit, writeNpz } from "@funmatch/models";
import type { Environment } from "../environment.ts";
import { noise } from "../noise.ts";

/** A network that all sides serve. */
export interface ServedNetwork {
  name: string;
  side: number;
  /** Which of our formats it is served in: that of its weights file. */
  format: "npz" | "onnx";
  /** Path of its files, without what comes after the name. */
  path: string;
  /** [32,side,side,3] */
  pixels: Uint8Array<ArrayBuffer>;
  /** What torch answers (numpy, for the tiny one). */
  logits: Float32Array;
}

/** Images in a request. */
export const IMAGES = 32;

/** Makes the files of a network in `folder`. */
export async function makeNetwork(
  name: string,
  folder: string,
  environment: Environment,
): Promise<ServedNetwork> {
  const side = name === "tiny" ? 32 : 128;
  const path = join(folder, name);
  if (name === "bit-r50") await writeBit(`${path}.npz`);
  const weights = name === "bit-r50" ? [`${path}.npz`] : [];
  await environment.run("networks.py", [folder, name, ...weights]);
  const logits = readFileSync(`${path}-logits.bin`);
  return {
    name,
    side,
    format: name === "bit-r50" ? "npz" : "onnx",
    path,
    pixels: new Uint8Array(readFileSync(`${path}-pixels.bin`)),
    logits: new Float32Array(new Uint8Array(logits).buffer),
  };
}

/** A BiT-R50 of random weights, also in its head. */
export async function writeBit(path: string): Promise<void> {
  const weights = initBit({ blocks: bitBlocks(50), width: 1, classes: 1000 }, noise);
  const arrays = Object.entries(weights).map(([name, { shape, values }]) => {
    const data = name === "head/kernel" ? noise(name, values.length).map((value) => value * 0.05) : values;
    return [name, { dtype: "float32" as const, shape, data }];
  });
  await writeNpz(path, Object.fromEntries(arrays));
}
