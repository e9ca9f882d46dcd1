import { ModelFileError } from "./network.ts";

/**
 * How many classes an output for `images` images has.
 *
 * @throws ModelFileError when its shape is not [images,K], perhaps with further axes of length 1
 */
export function requireRows(where: string, images: number, shape: readonly number[]): number {
  const [rows, classes, ...rest] = shape;
  if (rows !== images || classes === undefined || rest.some((size) => size !== 1))
    throw new ModelFileError(`${where} is [${shape}] for ${images} images, expected [${images},K]`);
  return classes;
}
