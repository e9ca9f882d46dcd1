import { existsSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { type NpyArray, type ReadNpzOptions, readNpz } from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";

/** What every directory of golden vectors has; trajectories beside them as there are. */
const FILES = [
  "bit_params.npz",
  "bit_forward.npz",
  "trajectory_inputs.npz",
  "distances.npz",
  "schedules.json",
  "preprocess.npz",
  "mixup.npz",
  "inception_crop_stats.json",
];

/** A directory of golden vectors. */
export interface Golden {
  path(file: string): string;
  has(file: string): boolean;
  arrays(file: string, options?: ReadNpzOptions): Promise<Map<string, NpyArray>>;
  json<T>(file: string): T;
  /** Variants of the trajectory, such as `mu_bf16`. */
  trajectories: string[];
}

/** @throws UserError naming every file that is not there */
export async function openGolden(directory: string): Promise<Golden> {
  if (!existsSync(directory)) throw new UserError(`there is no directory ${directory}`);
  const present = await readdir(directory);
  const trajectories = present.flatMap((file) => /^trajectory_(mu_.*)\.json$/.exec(file)?.[1] ?? []).sort();
  const missing = FILES.filter((file) => !present.includes(file));
  if (trajectories.length === 0) missing.push("trajectory_mu_*.json");
  if (missing.length > 0)
    throw new UserError(`${directory} is no directory of golden vectors: it lacks ${missing.join(", ")}`);
  const path = (file: string): string => join(directory, file);
  return {
    path,
    has: (file) => present.includes(file),
    arrays: (file, options) => readNpz(path(file), options),
    json: (file) => JSON.parse(readFileSync(path(file), "utf8")),
    trajectories,
  };
}

/** The array of that name. */
export function named(arrays: Map<string, NpyArray>, name: string): NpyArray {
  const array = arrays.get(name);
  if (!array) throw new UserError(`the golden vectors lack the array ${name}`);
  return array;
}

/** The numbers of a float32, int32 or uint8 array. */
export function numbers(array: NpyArray): Float32Array | Int32Array | Uint8Array {
  if (array.data instanceof Float64Array) return Float32Array.from(array.data);
  if (array.data instanceof BigInt64Array) return Int32Array.from(array.data, Number);
  return array.data;
}

export function toTensor<T extends tf.Tensor>(array: NpyArray): T {
  return tf.tensor(Float32Array.from(numbers(array)), array.shape, "float32") as T;
}
