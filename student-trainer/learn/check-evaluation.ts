import { UserError } from "@funmatch/config";
import { type Source, sameClasses } from "../data/source.ts";
import type { EvaluateConfig } from "../evaluation-config.ts";
import { MANY } from "../report/figures.ts";

/**
 * What only the data can tell of a run's evaluation, before the first step rather than at the last.
 *
 * @throws UserError
 */
export function checkEvaluation(
  { splits, best, probes }: EvaluateConfig,
  sources: Record<string, Source>,
): void {
  const train = sources.train!;
  for (const split of splits)
    if (!sameClasses(sources[split]!, train))
      throw new UserError(
        `evaluate.splits: ${split} has other classes than the student: it can be probed, not evaluated`,
      );
  for (const { from, on } of probes)
    if (!sameClasses(sources[from]!, sources[on]!))
      throw new UserError(`evaluate.probes: ${from} and ${on} have different classes`);
  if (best?.metric.endsWith("Top5") && train.labels.length <= MANY)
    throw new UserError(
      `evaluate.best.metric: of ${train.labels.length} classes there is no ${best.metric}: choose by ${best.metric.replace("Top5", "")}`,
    );
}
