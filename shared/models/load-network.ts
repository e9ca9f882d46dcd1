import { bitConfigOf, type Weights } from "./bit-config.ts";
import { asFloat32, loadBitWeights, prefixOf } from "./bit-weights.ts";
import { type MobileNetV3Config, mobileNetV3Shapes } from "./mobilenetv3-config.ts";
import type { NetworkConfig } from "./networks.ts";
import { ArrayFileError } from "./npy-header.ts";
import { namesInNpz, readNpz } from "./npz-read.ts";
import { encoderBlock, type ViTConfig, vitShapes } from "./vit-config.ts";

/** A network as a file of weights describes it. */
export interface LoadedNetwork {
  config: NetworkConfig;
  weights: Weights;
}

/**
 * Loads a network from an `.npz` file, whichever of ours it is: family and sizes are read off the names and shapes of
 * its parameters. These stand bare, as in a run's `student.npz`, or, as in big_vision's checkpoints, under `params/` or
 * `opt/target/`.
 *
 * @param resolution height and width of the images; a ViT's patches must fill them as they did in training
 * @throws ArrayFileError when the file does not hold exactly one whole network
 */
export async function loadNetwork(path: string, resolution: number): Promise<LoadedNetwork> {
  const names = await namesInNpz(path);
  const prefix = prefixOf(names);
  const has = (name: string): boolean => names.includes(prefix + name);
  if (has("embedding/kernel")) return checked(path, await bare(path, prefix), (w) => vitOf(w, resolution));
  if (has("conv_bn/mean")) return checked(path, await bare(path, prefix), mobileNetV3Of);
  const weights = await loadBitWeights(path);
  return { config: { kind: "bit", ...bitConfigOf(weights) }, weights };
}

async function bare(path: string, prefix: string): Promise<Weights> {
  const arrays = await readNpz(path, { only: (name) => name.startsWith(prefix) });
  return Object.fromEntries(
    [...arrays].map(([name, array]) => [
      name.slice(prefix.length),
      { shape: array.shape, values: asFloat32(array, `${path}: ${name}`) },
    ]),
  );
}

type Described = { config: NetworkConfig; shapes: Record<string, number[]> };

/** Holds the weights against every shape that the network found in them has. */
function checked(path: string, weights: Weights, describe: (weights: Weights) => Described): LoadedNetwork {
  let described: Described;
  try {
    described = describe(weights);
  } catch (error) {
    throw new ArrayFileError(`${path}: ${(error as Error).message}`);
  }
  const { config, shapes } = described;
  for (const [name, shape] of Object.entries(shapes)) {
    const found = weights[name];
    if (!found) throw new ArrayFileError(`${path}: not a whole ${config.kind} model: ${name} is missing`);
    if (found.shape.join() !== shape.join())
      throw new ArrayFileError(
        `${path}: ${name} has shape [${found.shape}], this ${config.kind} model needs [${shape}]`,
      );
  }
  const left = Object.keys(weights).find((name) => !Object.hasOwn(shapes, name));
  if (left !== undefined)
    throw new ArrayFileError(`${path}: not a ${config.kind} model: it also has ${left}`);
  return { config, weights };
}

function shapeOf(weights: Weights, name: string): number[] {
  const found = weights[name];
  if (!found) throw new ArrayFileError(`${name} is missing`);
  return found.shape;
}

function vitOf(weights: Weights, resolution: number): Described {
  const block = encoderBlock(0);
  const [patch, , , width] = shapeOf(weights, "embedding/kernel") as [number, number, number, number];
  const [, heads] = shapeOf(weights, `${block}/MultiHeadDotProductAttention_0/query/kernel`) as [
    number,
    number,
  ];
  const [, mlp] = shapeOf(weights, `${block}/MlpBlock_0/Dense_0/kernel`) as [number, number];
  let depth = 1;
  while (weights[`${encoderBlock(depth)}/LayerNorm_0/scale`]) depth++;
  const config: ViTConfig = {
    ...{ width, depth, mlp, heads, patch },
    positions: weights.pos_embedding ? "learn" : "sincos2d",
    pool: weights.cls ? "tok" : weights["MAPHead_0/probe"] ? "map" : "gap",
    image: [resolution, resolution],
    classes: shapeOf(weights, "head/bias")[0]!,
  };
  return { config: { kind: "vit", ...config }, shapes: vitShapes(config) };
}

const FINEST_WIDTH = 0.01;
const WIDEST = 4;

/** The width that a network was made with is only in its channels, each rounded to 8: any width that gives them does. */
function mobileNetV3Of(weights: Weights): Described {
  const classes = shapeOf(weights, "head/bias")[0]!;
  const size = weights["block14/depthwise/kernel"] ? "large" : "small";
  const channels = (shapes: Record<string, { shape: number[] } | number[]>): string =>
    Object.entries(shapes)
      .filter(([name]) => /^(block\d+\/project|conv_2)\/kernel$/.test(name))
      .map(([name, shape]) => `${name} ${Array.isArray(shape) ? shape : shape.shape}`)
      .sort()
      .join();
  const wanted = channels(weights);
  // The customary widths are tried first, so that a card tells them and not a neighbour.
  const widths = [1, 0.75, 0.5, 0.25, 1.25, 1.5];
  for (let i = 1; i <= WIDEST / FINEST_WIDTH; i++) widths.push(i * FINEST_WIDTH);
  for (const width of widths) {
    const config: MobileNetV3Config = { size, width, classes, momentum: 0.99 };
    const shapes = mobileNetV3Shapes(config);
    if (channels(shapes) === wanted) return { config: { kind: "mobilenetv3", ...config }, shapes };
  }
  throw new ArrayFileError(`no MobileNetV3-${size} has these channels`);
}
