import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NetworkConfig } from "../../teacher-service/config/model-config.ts";
import type { Environment } from "../environment.ts";
import { noiseBytes } from "../noise.ts";
import { writeBit } from "../serve/networks.ts";

/** A network and images for it, as files for all sides. */
export interface ForwardNetwork {
  name: string;
  /** As the teacher service is told of it. */
  config: NetworkConfig;
  /** For the peer onnxruntime: it takes bytes, as ours does. */
  onnx: string;
  /** uint8 [images,side,side,3] */
  pixels: string;
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PHOTOGRAPHS_TEACHER = fileURLToPath(
  new URL("../../../shared/data/teacher/clothing-efficientnet-lite0.onnx", import.meta.url),
);

/** How the networks are called, and where their weights come from. */
export const NETWORKS = {
  "BiT-R50, 128 px": { side: 128, format: "npz" },
  "EfficientNet-lite0, 160 px": { side: 160, format: "onnx", file: PHOTOGRAPHS_TEACHER },
  "bundled BiT teacher, 64 px": {
    side: 64,
    format: "npz",
    file: join(ROOT, "data/fashion/teacher/teacher.npz"),
  },
  tiny: { side: 32, format: "onnx" },
} as const satisfies Record<string, { side: number; format: "npz" | "onnx"; file?: string }>;

export type NetworkName = keyof typeof NETWORKS;

/** Whether its weights are here; those of the teacher on photographs are no part of the project. */
export function isHere(name: NetworkName): boolean {
  const source = NETWORKS[name];
  return !("file" in source) || existsSync(source.file);
}

/** Makes a network's files in `folder`, with so many images. */
export async function makeNetwork(
  name: NetworkName,
  folder: string,
  images: number,
  environment: Environment,
): Promise<ForwardNetwork> {
  const source = NETWORKS[name];
  const { side, format } = source;
  const file = "file" in source ? source.file : join(folder, `network.${format}`);
  const pixels = join(folder, "pixels.bin");
  const onnx = join(folder, "pixels.onnx");
  writeFileSync(pixels, noiseBytes(name, images * side * side * 3));
  if (name === "tiny") await environment.run("tiny.py", [file]);
  else if (!("file" in source)) await writeBit(file);
  await environment.run("pixels_onnx.py", [onnx, file, String(side)]);
  const model = {
    path: file,
    resolution: side,
    resize: "none" as const,
    valueRange: [-1, 1] as [number, number],
  };
  const config: NetworkConfig =
    format === "npz" ? { ...model, format } : { ...model, format, channelOrder: "rgb", outputs: "logits" };
  return { name, config, onnx, pixels };
}
