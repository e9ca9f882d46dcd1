import { isAbsolute, resolve } from "node:path";
import { UserError } from "./user-error.ts";

/** Paths in a config are relative to the file that holds them. */
export function resolvePath(directory: string, path: string): string {
  return isAbsolute(path) ? path : resolve(directory, path);
}

/**
 * Reads `env:NAME` from the environment, so that no secret stands in a file; any other text is taken as it is.
 *
 * @throws UserError when the variable is not set
 */
export function secret(value: string): string {
  if (!value.startsWith("env:")) return value;
  const name = value.slice(4);
  const found = process.env[name];
  if (!found) throw new UserError(`the config asks for the environment variable ${name}, which is not set`);
  return found;
}
