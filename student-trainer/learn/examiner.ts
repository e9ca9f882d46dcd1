import type { TrainConfig } from "../config.ts";
import { metricsLines, spokenLines } from "../report/evaluation-lines.ts";
import { type Evaluated, evaluateAll, evaluateSplits } from "../report/splits.ts";
import { betterBest } from "./best.ts";
import { keepBest } from "./best-checkpoint.ts";
import type { OpenRun } from "./open-run.ts";
import type { RunRecord } from "./record.ts";
import type { RunFolder } from "./run-folder.ts";

/** Evaluates the student while it learns, when it is due, and keeps the best checkpoint. */
export interface Examiner {
  /** Evaluates if it is due where the run stands and has not been done. */
  examineIfDue(): Promise<void>;
  /** The evaluation after the last step, once it has been made in this sitting. */
  closing(): Evaluated | undefined;
}

/** Makes the examiner of a run of `total` steps; a best checkpoint that was found but not yet kept is kept now. */
export async function openExaminer(o: {
  folder: RunFolder;
  config: TrainConfig;
  run: OpenRun;
  record: RunRecord;
  total: number;
  signal: AbortSignal;
  say: (line: string) => void;
}): Promise<Examiner> {
  const { folder, config, run, record, total, signal, say } = o;
  const { at } = run;
  let closing: Evaluated | undefined;
  if (at.best && at.best.step === at.step) await keepBest(folder.checkpoints, at.step); // if that was interrupted

  const examine = async () => {
    const isLast = at.step === total;
    const evaluated = await (isLast
      ? evaluateAll(run, config, signal)
      : evaluateSplits(run, config.evaluate, signal));
    if (isLast) closing = evaluated;
    for (const line of metricsLines(at.step, evaluated)) record.write(line);
    at.evaluatedStep = at.step;
    for (const said of spokenLines(at.step, evaluated)) say(said);
    const better = betterBest(at.best, config.evaluate.best, at.step, evaluated.splits);
    if (!better) return;
    at.best = better;
    await record.save();
    await keepBest(folder.checkpoints, at.step);
    say(`step ${at.step}  best ${better.metric} on ${better.split} so far: kept as checkpoints/best`);
  };

  return {
    async examineIfDue() {
      if (at.step > at.evaluatedStep && isDue(at.step, config.evaluate.everySteps, total)) await examine();
    },
    closing: () => closing,
  };
}

/** Whether something that is done every so many steps, and after the last, is to be done after this one. */
export function isDue(step: number, every: number, total: number): boolean {
  return step % every === 0 || step === total;
}
