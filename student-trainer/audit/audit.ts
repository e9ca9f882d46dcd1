import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { readRunConfig, type TrainConfig } from "../config.ts";
import { openPool, type ViewPool } from "../data/pool.ts";
import { type Checkpoint, readNewestCheckpoint } from "../learn/checkpoint.ts";
import { poolOptions } from "../learn/open-run.ts";
import { openTeachersOf } from "../learn/open-teachers.ts";
import { bindingConfigOf } from "../learn/run-folder.ts";
import type { Teacher } from "../teach/client.ts";
import { DESIGNS } from "../teach/designs.ts";
import { checkBest } from "./best.ts";
import { type Walk, walkLedger } from "./chain.ts";
import { type Check, checkOf } from "./check.ts";
import { checkConfig, checkData } from "./data.ts";
import { checkParameters } from "./parameters.ts";
import { checkSteps } from "./steps.ts";
import { checkTeachers, checkVerified } from "./teacher.ts";

/** What an audit found; written as `audit.json`. */
export interface Audit {
  /** The newest checkpoint's step: what was trained later is not looked at. */
  step: number;
  /** Steps whose batches were made again and whose teacher was asked again; drawn anew by every audit. */
  sampledSteps: number[];
  checks: Check[];
  /** Whether no check failed. */
  passed: boolean;
}

/**
 * Checks a finished or resting run from its folder: whether its ledger is whole, whether student and teacher saw the
 * same bytes, made again from seed and data, whether one teacher taught to the end, and whether it still says the same.
 *
 * @param path the run's folder
 * @param sample how many steps to make and ask again; all of them: Infinity
 * @throws UserError when there is no run with a checkpoint
 */
export async function auditRun(
  path: string,
  o: { sample: number; signal: AbortSignal; say: (line: string) => void },
): Promise<Audit> {
  const config = readRunConfig(path);
  const found = await readNewestCheckpoint(join(path, "checkpoints"), o.say);
  if (!found) throw new UserError(`${path} has no checkpoint yet: nothing to audit`);
  const { checkpoint } = found;
  const walk = await walkLedger(join(path, "ledger.jsonl"), checkpoint, o.sample);
  const checks = [
    walk.chain,
    checkConfig(walk, await bindingConfigOf(join(path, "config.yaml"))),
    await checkParameters(walk, checkpoint, join(path, "student.npz")),
    ...(await checkBest(walk, checkpoint, join(path, "checkpoints"))),
    ...(await checkDataAndTeacher(config, checkpoint, walk, o)),
  ];
  const audit: Audit = {
    step: checkpoint.step,
    sampledSteps: walk.sampled.map(({ step }) => step),
    checks,
    passed: checks.every(({ result }) => result !== "failed"),
  };
  await writeFile(join(path, "audit.json"), `${JSON.stringify(audit, null, 2)}\n`);
  return audit;
}

async function checkDataAndTeacher(
  config: TrainConfig,
  checkpoint: Checkpoint,
  walk: Walk,
  o: { sample: number; signal: AbortSignal; say: (line: string) => void },
): Promise<Check[]> {
  const design = DESIGNS[config.design];
  await using opened = new AsyncDisposableStack();
  const teachers = await teachersNow(config, o);
  for (const teacher of teachers) if (typeof teacher !== "string") opened.defer(() => teacher.close());
  const checks = [checkVerified(walk, design, teachers), ...checkTeachers(walk, teachers)];
  let pool: ViewPool;
  try {
    pool = await openPool(poolOptions(config));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [...checks, checkOf("data", [error.message], "")];
  }
  opened.defer(() => pool.close());
  const began: { digest: string; images?: number } = walk.head?.data ?? { digest: checkpoint.dataDigest };
  const data = checkData(began, pool.sources.train!);
  return [...checks, data, ...(await checkSteps({ ...o, walk, design, pool, teachers, data, began }))];
}

/** Each teacher that is served now, whichever version it is, or why there is none to ask. */
async function teachersNow(
  config: TrainConfig,
  o: { signal: AbortSignal; say: (line: string) => void },
): Promise<(Teacher | string)[]> {
  const found: (Teacher | string)[] = [];
  for (const { version: _, ...spec } of config.teachers) {
    try {
      found.push(...(await openTeachersOf({ ...config, teachers: [spec] }, undefined, o)));
    } catch (error) {
      if (!(error instanceof UserError)) throw error; // TeacherError is one
      found.push(error.message);
    }
  }
  return found;
}
