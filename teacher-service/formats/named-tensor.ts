import { ModelFileError } from "./network.ts";

/**
 * The input or output that the config names, or the only one.
 *
 * @param path names the model in errors
 * @throws ModelFileError naming those that there are
 */
export function namedTensor<T>(
  path: string,
  what: "input" | "output",
  wanted: string | undefined,
  all: Readonly<Record<string, T>>,
): [name: string, tensor: T] {
  const found = Object.entries(all).filter(([name]) => wanted === undefined || name === wanted);
  if (found.length === 1) return found[0]!;
  const names = Object.keys(all).join(", ");
  throw new ModelFileError(
    wanted === undefined
      ? `${path} has the ${what}s ${names}: say which one with ${what}`
      : `${path} has no ${what} ${wanted}: there is ${names}`,
  );
}
