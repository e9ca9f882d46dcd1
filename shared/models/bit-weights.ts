import { bitConfigOf, type Weights } from "./bit-config.ts";
import { oldBitName } from "./bit-old-names.ts";
import type { NpyArray } from "./npy.ts";
import { ArrayFileError } from "./npy-header.ts";
import { namesInNpz, readNpz } from "./npz-read.ts";

/** Where big_vision's checkpoints keep the parameters, beside optimizer state that is not read. */
const PREFIXES = ["params/", "opt/target/"];

/**
 * Loads a BiT model from an `.npz` file: big_vision's names, bare or in a checkpoint under `params/` or `opt/target/`,
 * or the names of the older BiT release. Halves become float32.
 *
 * @throws ArrayFileError when the file does not hold exactly one whole BiT model
 */
export async function loadBitWeights(path: string): Promise<Weights> {
  const names = await namesInNpz(path);
  const prefix = prefixOf(names);
  const isOld = names.some((name) => name.startsWith(`${prefix}resnet/`));
  const newName = (name: string): string | undefined => {
    if (!name.startsWith(prefix)) return undefined;
    const bare = name.slice(prefix.length);
    return isOld ? oldBitName(bare) : bare;
  };
  if (!names.some((name) => newName(name) === "root_block/conv_root/kernel"))
    throw new ArrayFileError(`${path}: not a BiT model (has ${names.slice(0, 4).join(", ")}, …)`);
  const arrays = await readNpz(path, { only: (name) => newName(name) !== undefined });
  const weights: Weights = {};
  for (const [name, array] of arrays) {
    const target = newName(name)!;
    if (Object.hasOwn(weights, target)) throw new ArrayFileError(`${path}: ${target} is there twice`);
    weights[target] = { shape: shapeFor(target, array.shape), values: asFloat32(array, `${path}: ${name}`) };
  }
  try {
    bitConfigOf(weights);
  } catch (error) {
    throw new ArrayFileError(`${path}: ${(error as Error).message}`);
  }
  return weights;
}

/** What stands before the names of the parameters in a file. */
export function prefixOf(names: readonly string[]): string {
  return PREFIXES.find((prefix) => names.some((name) => name.startsWith(prefix))) ?? "";
}

/** The older release keeps norms as vectors and the head as a 1×1 convolution. */
function shapeFor(name: string, shape: number[]): number[] {
  if (/\/(scale|bias)$/.test(name) && name !== "head/bias" && shape.length === 1) return [1, 1, 1, shape[0]!];
  if (name === "head/kernel" && shape.length === 4 && shape[0] === 1 && shape[1] === 1) return shape.slice(2);
  return shape;
}

/** Parameters as they are computed with. */
export function asFloat32({ dtype, data }: NpyArray, where: string): Float32Array {
  if (data instanceof Float32Array) return data;
  if (data instanceof Float64Array) return Float32Array.from(data);
  throw new ArrayFileError(`${where}: parameters are floating-point numbers, not ${dtype}`);
}
