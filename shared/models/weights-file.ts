import type { Weights } from "./bit-config.ts";
import { ArrayFileError } from "./npy-header.ts";
import { readNpz } from "./npz-read.ts";
import { writeNpz } from "./npz-write.ts";

/** Writes parameters and running statistics as an `.npz` of float32 arrays, in their order. */
export function writeWeights(path: string, weights: Weights): Promise<void> {
  const arrays = Object.entries(weights).map(
    ([name, { shape, values }]) => [name, { dtype: "float32", shape, data: values }] as const,
  );
  return writeNpz(path, Object.fromEntries(arrays));
}

/**
 * Reads what `writeWeights` wrote.
 *
 * @param prefix only names that begin so, which is left out of them
 * @throws ArrayFileError when the file cannot be read or an array is not float32
 */
export async function readWeights(path: string, prefix = ""): Promise<Weights> {
  const arrays = await readNpz(path, { only: (name) => name.startsWith(prefix) });
  return Object.fromEntries(
    [...arrays].map(([name, { shape, data }]) => {
      if (!(data instanceof Float32Array)) throw new ArrayFileError(`${path}: ${name} is not float32`);
      return [name.slice(prefix.length), { shape, values: data }];
    }),
  );
}
