import type { TrainConfig } from "../config.ts";
import type { OpenRun } from "../learn/open-run.ts";
import { type Evaluation, evaluate } from "./evaluate.ts";

/**
 * Evaluates the student, and its teachers beside it, on every split that the config names, and counts what the
 * gateway's cache answered.
 */
export async function evaluateSplits(
  run: Pick<OpenRun, "at" | "classes" | "pool" | "student" | "teachers">,
  { splits, batch }: TrainConfig["evaluate"],
  signal: AbortSignal,
): Promise<Map<string, Evaluation>> {
  const { at, classes, pool, student, teachers } = run;
  const forward = (images: Uint8Array) => student.call("forward", { images });
  const found = new Map<string, Evaluation>();
  for (const split of splits) {
    const size = pool.sources[split]!.size;
    const evaluation = await evaluate({ pool, split, size, batch, classes, forward, teachers, signal });
    at.cacheHits += evaluation.cacheHits;
    at.cacheMisses += evaluation.cacheMisses;
    found.set(split, evaluation);
  }
  return found;
}

/** One figure of every split that has it. */
export function bySplit(
  evaluations: Map<string, Evaluation>,
  figure: "accuracy" | "teacherAccuracy" | "agreement" | "kl",
): Record<string, number> {
  return Object.fromEntries(
    [...evaluations].flatMap(([split, { [figure]: value }]) => (value === undefined ? [] : [[split, value]])),
  );
}

/** An evaluation in words, a line a split. */
export function evaluationLines(step: number, evaluations: Map<string, Evaluation>): string[] {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  return [...evaluations].map(([split, { accuracy, agreement, kl }]) => {
    const beside = agreement === undefined ? "" : `  agreement ${percent(agreement)}  KL ${kl?.toFixed(4)}`;
    return `step ${step}  ${split}: accuracy ${percent(accuracy)}${beside}`;
  });
}
