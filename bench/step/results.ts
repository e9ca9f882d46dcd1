import { existsSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import type { Row } from "../benchmark.ts";

/**
 * Rows of an earlier run on this machine's kind of processor that were not measured anew, so that `--row` replaces its
 * own alone. Each says of which commit it is.
 */
export function earlierRows(anew: Row[]): Row[] {
  const path = join(import.meta.dirname, "../results/step.json");
  if (!existsSync(path)) return [];
  const { machine, commit, rows } = JSON.parse(readFileSync(path, "utf8")) as {
    machine: { cpu: string };
    commit: string;
    rows: Row[];
  };
  if (machine.cpu !== cpus()[0]?.model.trim()) return [];
  return rows
    .filter(({ name, dtype }) => !anew.some((row) => row.name === name && row.dtype === dtype))
    .map((row) => ({ ...row, details: { "measured at commit": commit, ...row.details } }));
}
