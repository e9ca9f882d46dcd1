import { readFileSync } from "node:fs";
import { UserError } from "@funmatch/config";
import { z } from "zod";

/**
 * Reads the names of classes from a file: one a line, or a JSON list.
 *
 * @throws UserError when it cannot be read or holds something else
 */
export function readLabels(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UserError(`cannot read the labels ${path}: ${(error as NodeJS.ErrnoException).code}`);
  }
  if (!text.trimStart().startsWith("[")) return text.split(/\r?\n/).filter((line) => line.trim() !== "");
  const parsed = z.array(z.string().min(1)).min(1).safeParse(jsonOf(text));
  if (!parsed.success) throw new UserError(`${path}: expected a JSON list of names, or one name a line`);
  return parsed.data;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
