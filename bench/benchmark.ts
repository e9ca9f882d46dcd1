import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { join } from "node:path";

/** A benchmark that `npm run bench` knows. */
export interface Benchmark {
  name: string;
  /** One line for the list. */
  what: string;
  /** What it installs or takes that one would want to know beforehand; not with `tiny`. */
  needs?: string;
  /**
   * `tiny`: the smallest sizes and few repetitions, to show that it runs; its figures mean nothing. `row`: only what
   * goes by that name, where a benchmark can be run in parts.
   */
  run(o: { tiny: boolean; row?: string }): Promise<Row[]>;
}

/** One comparison, made in one run on one machine. */
export interface Row {
  name: string;
  dtype: "float32" | "bfloat16" | "uint8";
  /** Of `ours` and `peers`. Less is better where it is a time or memory. */
  unit: "ms" | "images/s" | "MB";
  /** Medians. */
  ours: number;
  peers: Record<string, number>;
  /** How many times better than the best peer ours is. */
  ratio: number;
  /** Further figures, by name. */
  details: Record<string, number | string>;
}

/** Writes `bench/results/<name>.json` and returns its path. */
export function writeResults(name: string, versions: Record<string, string>, rows: Row[]): string {
  const folder = join(import.meta.dirname, "results");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}.json`);
  const results = { machine: machine(), versions, commit: commit(), rows };
  writeFileSync(path, `${JSON.stringify(results, null, 2)}\n`);
  return path;
}

export function ratioOfTimes(ours: number, peers: Record<string, number>): number {
  return Math.min(...Object.values(peers)) / ours;
}

export function ratioOfRates(ours: number, peers: Record<string, number>): number {
  return ours / Math.max(...Object.values(peers));
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return Number.isInteger(middle)
    ? ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
    : (sorted[Math.floor(middle)] as number);
}

/** The value that a share of all do not exceed, 0..1; 0 of none. */
export function quantile(values: number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))] ?? 0;
}

function machine(): Record<string, string | number> {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    threads: availableParallelism(),
    memoryGb: Math.round(totalmem() / 1e9),
    system: `${process.platform} ${process.arch}`,
  };
}

/** The commit that is measured; with "+" if files differ from it. */
function commit(): string {
  const git = (...args: string[]) =>
    execFileSync("git", args, {
      cwd: import.meta.dirname,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  try {
    return git("rev-parse", "--short=12", "HEAD").trim() + (git("status", "--porcelain") === "" ? "" : "+");
  } catch {
    return "unknown";
  }
}
