import type { Weights } from "./bit-config.ts";
import { asFloat32, prefixOf } from "./bit-weights.ts";
import { ArrayFileError } from "./npy-header.ts";
import { namesInNpz, readNpz } from "./npz-read.ts";
import { resamplePositions } from "./resample-positions.ts";

/**
 * Loads the parameters of a network whose shapes are known from an `.npz` file, where they stand bare or, as in
 * big_vision's checkpoints, under `params/` or `opt/target/`. A ViT's learned positions may be of another resolution.
 *
 * @param shapes what the network needs; the file may be for another number of classes, and then has another head
 * @throws ArrayFileError naming the first parameter that is missing or misshapen
 */
export async function loadNetworkWeights(path: string, shapes: Record<string, number[]>): Promise<Weights> {
  const prefix = prefixOf(await namesInNpz(path));
  const arrays = await readNpz(path, {
    only: (name) => name.startsWith(prefix) && Object.hasOwn(shapes, name.slice(prefix.length)),
  });
  const weights: Weights = {};
  for (const [name, shape] of Object.entries(shapes)) {
    const array = arrays.get(prefix + name);
    if (!array) throw new ArrayFileError(`${path}: the student needs ${name}, which is not there`);
    const given = { shape: array.shape, values: asFloat32(array, `${path}: ${name}`) };
    const fitted = name === "pos_embedding" ? resamplePositions(given, shape) : given;
    const compared = name.startsWith("head/") ? -1 : undefined;
    if (
      fitted.shape.length !== shape.length ||
      fitted.shape.slice(0, compared).join() !== shape.slice(0, compared).join()
    )
      throw new ArrayFileError(`${path}: ${name} has shape [${array.shape}], the student needs [${shape}]`);
    weights[name] = fitted;
  }
  return weights;
}
