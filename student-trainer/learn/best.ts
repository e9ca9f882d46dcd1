import type { EvaluateConfig, Metric } from "../evaluation-config.ts";
import type { Evaluation } from "../report/evaluate.ts";
import type { Checkpoint } from "./checkpoint.ts";

export type Best = NonNullable<Checkpoint["best"]>;

const SMALLEST_IS_BEST = new Set<Metric>(["kl", "euclidean"]);

/**
 * The evaluation of a step, if it is better than the best before it; of equals the earlier stays. One that was chosen
 * by another figure or split than the config asks for is as none.
 */
export function betterBest(
  before: Best | undefined,
  wanted: EvaluateConfig["best"],
  step: number,
  evaluations: Map<string, Evaluation>,
): Best | undefined {
  const evaluation = wanted && evaluations.get(wanted.split);
  if (!evaluation) return undefined;
  const { split, metric } = wanted;
  const ofStudent = metric === "accuracy" || metric === "accuracyTop5";
  const value = ofStudent ? evaluation[metric] : evaluation.teacher?.[metric];
  if (value === undefined || !Number.isFinite(value)) return undefined;
  const sign = SMALLEST_IS_BEST.has(metric) ? -1 : 1;
  if (isBestOf(before, wanted) && sign * value <= sign * before.value) return undefined;
  return { step, split, metric, value };
}

/** Whether a best evaluation is one that the config asks for. */
export function isBestOf(best: Best | undefined, wanted: EvaluateConfig["best"]): best is Best {
  return best !== undefined && best.split === wanted?.split && best.metric === wanted.metric;
}
