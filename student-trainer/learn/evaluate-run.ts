import { mkdir } from "node:fs/promises";
import { UserError } from "@funmatch/config";
import { readRunConfig, splitsOf } from "../config.ts";
import { figuresOf, spokenLines } from "../report/evaluation-lines.ts";
import { finishRun } from "../report/finish.ts";
import { writePredictions } from "../report/predictions.ts";
import { evaluateAll } from "../report/splits.ts";
import { checkEvaluation } from "./check-evaluation.ts";
import { openRun } from "./open-run.ts";
import { openRunFolder } from "./run-folder.ts";

export interface EvaluateRunOptions {
  signal: AbortSignal;
  /** Another checkpoint than the newest. */
  checkpoint?: "best" | number;
  /** Only these splits. */
  splits?: string[];
}

/** What an evaluation that leaves the run's own results alone found. */
export interface LookedAt {
  step: number;
  parametersSha256: string;
  /** Figures by split, as in `metrics.jsonl`. */
  splits: Record<string, object>;
  probes?: object[];
}

/**
 * Evaluates a run's newest checkpoint again and writes predictions, summary and report anew. Of another checkpoint, or
 * on some splits alone, it leaves these as they are, answers the figures, and writes predictions into a folder of
 * their own: `evaluation-best` and the like.
 *
 * @param path the run's folder
 * @throws UserError when there is no run with such a checkpoint, or no such split
 */
export async function evaluateRun(path: string, o: EvaluateRunOptions): Promise<LookedAt | undefined> {
  const config = { ...readRunConfig(path), run: path };
  const names = Object.keys(splitsOf(config.data));
  const unknown = o.splits?.find((split) => !names.includes(split));
  if (unknown !== undefined)
    throw new UserError(`${path} has no split ${unknown}: its data has ${names.join(", ")}`);
  const folder = await openRunFolder(config);
  try {
    const say = (line: string) => process.stderr.write(`${line}\n`);
    await using run = await openRun(folder, config, { ...o, say });
    const { step } = run.at;
    if (step === 0) throw new UserError(`${path} has no checkpoint yet: nothing to evaluate`);
    if (o.checkpoint === undefined && o.splits === undefined) {
      await finishRun(folder, config, run, o.signal);
      return undefined;
    }
    checkEvaluation({ ...config.evaluate, splits: o.splits ?? [] }, run.pool.sources);
    const evaluated = await evaluateAll(run, config, o.signal, o.splits);
    for (const line of spokenLines(step, evaluated)) say(line);
    const apart = folder.file(`evaluation-${o.checkpoint ?? "newest"}`);
    await mkdir(apart, { recursive: true });
    for (const [split, evaluation] of evaluated.splits) await writePredictions(apart, split, evaluation);
    const { parametersSha256 } = await run.student.call("describe", {});
    const splits = [...evaluated.splits].map(([split, evaluation]) => [split, figuresOf(evaluation)]);
    const probes = evaluated.probes.length > 0 ? evaluated.probes : undefined;
    return { step, parametersSha256, splits: Object.fromEntries(splits), probes };
  } finally {
    await folder.release();
  }
}
