import { globSync } from "node:fs";
import { UserError } from "@funmatch/config";

const MOST_SHARDS = 100_000;

/**
 * The files that a pattern names: `{000..009}` counts, with as many digits as it is written with, `{a,b}` names
 * several, and `*`, `?` and `[…]` match files that are there, in name order (by code unit).
 *
 * @example shardPaths("data-{000..002}.tar") // data-000.tar, data-001.tar, data-002.tar
 * @throws UserError if the pattern matches no file, or names an unreasonable number.
 */
export function shardPaths(pattern: string): string[] {
  const paths = expanded(pattern).flatMap((path) => {
    if (!/[*?[]/.test(path)) return [path];
    const found = globSync(path).sort();
    if (found.length === 0) throw new UserError(`no file matches ${path}`);
    return found;
  });
  if (new Set(paths).size < paths.length) throw new UserError(`${pattern} names a shard twice`);
  return paths;
}

function expanded(pattern: string): string[] {
  const brace = /\{([^{}]*)\}/.exec(pattern);
  if (!brace) return [pattern];
  const [before, after] = [pattern.slice(0, brace.index), pattern.slice(brace.index + brace[0].length)];
  const heads = choices(brace[1]!, pattern).map((choice) => before + choice);
  const tails = expanded(after);
  if (heads.length * tails.length > MOST_SHARDS)
    throw new UserError(`${pattern} names more than ${MOST_SHARDS} shards`);
  return heads.flatMap((head) => tails.map((tail) => head + tail));
}

function choices(inside: string, pattern: string): string[] {
  const range = /^(\d{1,9})\.\.(\d{1,9})$/.exec(inside);
  if (!range) return inside.split(",");
  const [first, last] = [Number(range[1]), Number(range[2])];
  if (last < first) throw new UserError(`${pattern}: {${inside}} counts down`);
  if (last - first >= MOST_SHARDS) throw new UserError(`${pattern} names more than ${MOST_SHARDS} shards`);
  const digits = range[1]!.startsWith("0") ? range[1]!.length : 0;
  return Array.from({ length: last - first + 1 }, (_, i) => String(first + i).padStart(digits, "0"));
}
