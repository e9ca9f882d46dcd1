import { existsSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { readTrainConfig } from "../config.ts";
import { finishRun } from "../report/finish.ts";
import type { Summary } from "../report/summary.ts";
import { openRun } from "./open-run.ts";
import { openRunFolder } from "./run-folder.ts";

/**
 * Evaluates a run's newest checkpoint again and writes predictions, summary and report anew.
 *
 * @param path the run's folder
 * @throws UserError when there is no run with a checkpoint
 */
export async function evaluateRun(path: string, o: { signal: AbortSignal }): Promise<Summary> {
  const configFile = join(path, "config.yaml");
  if (!existsSync(configFile)) throw new UserError(`${path} is not a run: it has no config.yaml`);
  const config = readTrainConfig(configFile);
  const folder = await openRunFolder({ ...config, run: path });
  try {
    const say = (line: string) => process.stderr.write(`${line}\n`);
    await using run = await openRun(folder, config, { ...o, say });
    if (run.at.step === 0) throw new UserError(`${path} has no checkpoint yet: nothing to evaluate`);
    return await finishRun(folder, config, run, o.signal);
  } finally {
    await folder.release();
  }
}
