import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { readTrainConfig, type TrainConfig } from "../config.ts";
import type { StudyConfig, Value } from "./study-config.ts";

/** One run of a study. */
export interface Cell {
  /** Its folder's name, made of its values. */
  name: string;
  /** Of the keys of the grid. */
  values: Record<string, Value>;
  run: string;
  /** Changes whenever the base config, or what the study sets for this run, does. */
  digest: string;
  config: TrainConfig;
}

/**
 * All runs of a study, each as `funmatch train` would read it.
 *
 * @param threads of each run, where its config does not say
 * @throws UserError for the first run whose config is not valid
 */
export function cellsOf(study: StudyConfig, threads: number): Cell[] {
  const base = readText(study.base);
  const cells = combinations(study.grid).map((values) => {
    const sets = setsOf(study, values);
    const name = nameOf(values);
    const run = join(study.study, "runs", name);
    return {
      ...{ name, values, run },
      digest: createHash("sha256")
        .update(JSON.stringify([base, sets]))
        .digest("hex"),
      config: configOf(study, [...sets, `run=${JSON.stringify(run)}`], name, threads),
    };
  });
  const twice = cells.find(({ name }, i) => cells.findIndex((other) => other.name === name) !== i);
  if (twice)
    throw new UserError(`${study.path}: two runs would be called ${twice.name}: give each value once`);
  return cells;
}

function configOf(study: StudyConfig, sets: string[], name: string, threads: number): TrainConfig {
  try {
    const config = readTrainConfig(study.base, sets);
    config.threads ??= threads;
    config.workers ??= 1;
    return config;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`${study.path}: run ${name}: ${error.message}`);
  }
}

/** Every combination of the grid's values, the last key's changing fastest. */
export function combinations(grid: Record<string, Value[]>): Record<string, Value>[] {
  return Object.entries(grid).reduce<Record<string, Value>[]>(
    (made, [key, values]) => made.flatMap((one) => values.map((value) => ({ ...one, [key]: value }))),
    [{}],
  );
}

/** As written after --set. */
function setsOf({ where }: StudyConfig, values: Record<string, Value>): string[] {
  const matching = where.filter(({ when }) =>
    Object.entries(when).every(([key, value]) => sameValue(values[key], value)),
  );
  return [values, ...matching.map(({ set }) => set)].flatMap((some) =>
    Object.entries(some).map(([key, value]) => `${key}=${JSON.stringify(value)}`),
  );
}

export function sameValue(a: Value | undefined, b: Value | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** "design-fix_rs.steps-400.seed-0" */
function nameOf(values: Record<string, Value>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key.split(".").at(-1)}-${valueWords(value).replace(/[^\w-]+/g, "_")}`)
    .join(".");
}

/** A value in a few words. */
export function valueWords(value: Value): string {
  return typeof value === "string" ? value : JSON.stringify(value).replace(/["{}]/g, "");
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    throw new UserError(`base: cannot read the config ${path}`);
  }
}
