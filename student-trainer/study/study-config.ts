import { dirname, resolve } from "node:path";
import { readConfig, resolvePath, UserError } from "@funmatch/config";
import { z } from "zod";

const value = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.null(),
  z.array(z.json()),
  z.record(z.string(), z.json()),
]);
export type Value = z.output<typeof value>;

/** A key of a run's config, such as length.steps. */
const key = z.string().regex(/^\w+(\.\w+)*$/, "expected a key of a run's config, such as length.steps");

/** What the choice of hyper-parameters may be by; more of the first two is better, less of the others. */
const CHOICES = ["accuracy", "agreement", "kl"] as const;

/** A study's config file; `docs/study.schema.json` is made from it. */
export const studySchema = z.strictObject({
  /** The folder that its runs and its page are written to. */
  study: z.string().min(1),
  title: z.string().min(1).optional(),
  /** The config that every run begins with. */
  base: z.string().min(1),
  /** Values by key of a run's config; every combination is a run. */
  grid: z
    .record(key, z.array(value).min(1))
    .refine((grid) => Object.keys(grid).length > 0, "at least one key with its values is needed"),
  /** Keys set where a run has certain values of the grid, in order. */
  where: z.array(z.strictObject({ when: z.record(key, value), set: z.record(key, value) })).default([]),
  /** The key of the grid whose values are the lines of the plots; absent: the first that is neither length nor seed. */
  lines: key.optional(),
  /** Keys of the grid of which one combination is chosen for each line and length, by the mean over the seeds. */
  choose: z
    .strictObject({
      keys: z.array(key).min(1),
      split: z.string().default("validation"),
      by: z.enum(CHOICES).default("accuracy"),
    })
    .optional(),
  /** Steps of each run that its audit makes again. */
  auditSteps: z.int().min(0).default(2),
  /** Runs at once; absent: one a core, each with one thread. */
  parallel: z.int().min(1).max(256).optional(),
});

export type StudyConfig = z.output<typeof studySchema> & { path: string };

/** Keys of a grid that say how long a run is. */
const LENGTHS = ["length.steps", "length.epochs"];

/**
 * Reads the config of a study; its paths come back absolute.
 *
 * @throws UserError naming the place and what would be right
 */
export function readStudyConfig(path: string, sets: string[] = []): StudyConfig {
  const config = readConfig(studySchema, path, sets);
  const directory = dirname(resolve(path));
  const fail = (message: string): never => {
    throw new UserError(`${path}: ${message}`);
  };
  const keys = Object.keys(config.grid);
  const named = keys.join(", ");
  if (config.lines !== undefined && !keys.includes(config.lines))
    fail(`lines: ${config.lines} is not in the grid (${named})`);
  for (const chosen of config.choose?.keys ?? [])
    if (!keys.includes(chosen) || chosen === "seed" || chosen === config.lines)
      fail(`choose.keys: ${chosen} must be in the grid, and neither seed nor that of the lines (${named})`);
  for (const { when } of config.where)
    for (const asked of Object.keys(when))
      if (!keys.includes(asked)) fail(`where: ${asked} is not in the grid (${named})`);
  if (keys.includes("run")) fail("grid: run cannot be in it: the study names the folders");
  return {
    ...config,
    path,
    study: resolvePath(directory, config.study),
    base: resolvePath(directory, config.base),
  };
}

/** The keys of a grid by what they are for. */
export function rolesOf({ grid, lines, choose }: StudyConfig): {
  /** Its values are the lines of the plots; undefined where every run is of one line. */
  lines?: string;
  length?: string;
  chosen: string[];
  /** All others but the seed: each of their combinations has plots of its own. */
  panels: string[];
} {
  const chosen = choose?.keys ?? [];
  const length = Object.keys(grid).find(
    (one) => LENGTHS.includes(one) && one !== lines && !chosen.includes(one),
  );
  const free = Object.keys(grid).filter((one) => one !== length && one !== "seed" && !chosen.includes(one));
  const of = lines ?? free[0];
  return {
    chosen,
    panels: free.filter((one) => one !== of),
    ...(of === undefined ? {} : { lines: of }),
    ...(length === undefined ? {} : { length }),
  };
}
