import { readFileSync } from "node:fs";
import { type Document, isMap, parseDocument } from "yaml";
import type { z } from "zod";
import { explain } from "./explain.ts";
import { UserError } from "./user-error.ts";

/**
 * Reads a YAML config, applies `a.b=value` overrides and validates the result.
 *
 * @param sets overrides as written after `--set`; a value is read as YAML (`3e-3`, `true`, `[1, 2]`, text)
 * @param either groups of keys of which a config has one: an override of one takes the place of the others
 * @throws UserError naming file, place and what would be right
 * @example readConfig(trainSchema, "clothing.yaml", ["batch=64"])
 */
export function readConfig<T extends z.ZodType>(
  schema: T,
  path: string,
  sets: string[] = [],
  either: string[][] = [],
): z.output<T> {
  const document = parseDocument(readText(path), { prettyErrors: true });
  const fault = document.errors[0];
  if (fault) throw new UserError(`${path} is not valid YAML: ${fault.message.split("\n")[0]}`);
  if (document.contents !== null && !isMap(document.contents))
    throw new UserError(`${path}: expected keys and values at the top, such as "batch: 128"`);
  for (const set of sets) {
    const equals = set.indexOf("=");
    if (equals < 1) throw new UserError(`--set ${set}: expected key=value, such as batch=64`);
    const value = parseDocument(set.slice(equals + 1));
    if (value.errors.length > 0) throw new UserError(`--set ${set}: the value is not valid YAML`);
    const key = set.slice(0, equals);
    const keys = key.split(".");
    try {
      for (const group of either.filter((one) => one.includes(key)))
        for (const other of group.filter((one) => document.hasIn(one.split("."))))
          document.deleteIn(other.split("."));
      document.setIn(keys, value.contents);
    } catch {
      throw new UserError(`--set ${set}: ${keys.slice(0, -1).join(".")} is not a group of keys`);
    }
  }
  const parsed = schema.safeParse(contentsOf(document, path) ?? {});
  if (!parsed.success) throw new UserError(`${path}: ${explain(schema, parsed.error).join("; ")}`);
  return parsed.data;
}

/** Aliases are resolved only here: one without an anchor, or a bomb of them, is found out late. */
function contentsOf(document: Document, path: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new UserError(`${path} is not valid YAML: ${(error as Error).message}`);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") throw new UserError(`there is no config file ${path}`);
    throw new UserError(`cannot read the config ${path}: ${code}`);
  }
}
