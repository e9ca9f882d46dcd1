import { bitConfigOf, type Weights } from "./bit-config.ts";
import { loadBitWeights, prefixOf } from "./bit-weights.ts";
import { type MobileNetV3Config, mobileNetV3Shapes } from "./mobilenetv3-config.ts";
import { loadNetworkWeights } from "./network-weights.ts";
import { type NetworkConfig, networkOf } from "./networks.ts";
import { ArrayFileError } from "./npy-header.ts";
import { namesInNpz, readNpz } from "./npz-read.ts";
import type { ViTConfig } from "./vit-config.ts";

type Shapes = Record<string, number[]>;

/**
 * Loads a network of any kind that is known here from an `.npz`, such as a run's `student.npz`: what it is, is read off
 * the names and shapes of its parameters.
 *
 * @param resolution side of the images in pixels, which a ViT's position embedding must fit
 * @throws ArrayFileError when the file holds no such network, or not all of it
 */
export async function loadAnyNetwork(
  path: string,
  resolution: number,
): Promise<{ config: NetworkConfig; weights: Weights }> {
  const names = await namesInNpz(path);
  const prefix = prefixOf(names);
  const has = (name: string) => names.includes(prefix + name);
  if (!has("embedding/kernel") && !has("conv_bn/mean")) {
    const weights = await loadBitWeights(path);
    return { config: { kind: "bit", ...bitConfigOf(weights) }, weights };
  }
  const arrays = await readNpz(path, { only: (name) => name.startsWith(prefix) });
  const shapes = Object.fromEntries(
    [...arrays].map(([name, { shape }]) => [name.slice(prefix.length), shape]),
  );
  const config = has("embedding/kernel") ? vitOf(path, shapes, resolution) : mobileNetV3Of(path, shapes);
  return { config, weights: await loadNetworkWeights(path, networkOf(config).shapes()) };
}

function vitOf(path: string, shapes: Shapes, resolution: number): NetworkConfig {
  const shape = (name: string): number[] => {
    const found = shapes[name];
    if (!found) throw new ArrayFileError(`${path}: not a whole ViT: ${name} is missing`);
    return found;
  };
  const block = "Transformer/encoderblock_";
  const depth = Object.keys(shapes).filter((name) =>
    /^Transformer\/encoderblock_\d+\/LayerNorm_0\/scale$/.test(name),
  );
  const [patch, , , width] = shape("embedding/kernel") as [number, number, number, number];
  const config: ViTConfig = {
    width,
    depth: depth.length,
    mlp: shape(`${block}0/MlpBlock_0/Dense_0/kernel`)[1]!,
    heads: shape(`${block}0/MultiHeadDotProductAttention_0/query/kernel`)[1]!,
    patch,
    positions: "pos_embedding" in shapes ? "learn" : "sincos2d",
    pool: "MAPHead_0/probe" in shapes ? "map" : "cls" in shapes ? "tok" : "gap",
    image: [resolution, resolution],
    classes: shape("head/kernel")[1]!,
  };
  return { kind: "vit", ...config };
}

/** Widths that a student can have are tried: those of equal shapes are the same network. */
function mobileNetV3Of(path: string, shapes: Shapes): NetworkConfig {
  const classes = shapes["head/kernel"]?.[1] ?? 0;
  const size = Object.keys(shapes).some((name) => name.startsWith("block14/")) ? "large" : "small";
  for (let hundredths = 10; hundredths <= 800; hundredths++) {
    const config: MobileNetV3Config = { size, width: hundredths / 100, classes, momentum: 0.999 };
    const wanted = Object.entries(mobileNetV3Shapes(config));
    if (wanted.every(([name, shape]) => shapes[name]?.join() === shape.join()))
      return { kind: "mobilenetv3", ...config };
  }
  throw new ArrayFileError(`${path}: its shapes are those of no MobileNetV3 of a width from 0.1 to 8`);
}
