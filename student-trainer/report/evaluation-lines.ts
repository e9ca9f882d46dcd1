import type { FigureLine } from "../tensorboard/event-file.ts";
import type { Evaluation } from "./evaluate.ts";
import type { Evaluated } from "./splits.ts";
import { percent } from "./words.ts";

/** An evaluation as lines of `metrics.jsonl`: one a split, then one a probe. */
export function metricsLines(step: number, { splits, probes }: Evaluated): FigureLine[] {
  const ofSplits = [...splits].map(([split, evaluation]) => ({ step, split, ...figuresOf(evaluation) }));
  return [...ofSplits, ...probes.map(({ on, from, shots }) => ({ step, probe: on, from, shots }))];
}

/** The figures alone, without what they were computed from. */
export function figuresOf({ accuracy, accuracyTop5, teacher, teachers }: Evaluation): object {
  const several = teachers.length > 1 ? teachers.map(distances) : undefined;
  return { accuracy, accuracyTop5, ...(teacher && distances(teacher)), teachers: several };
}

function distances({ agreement, agreementTop5, kl, euclidean, cka }: NonNullable<Evaluation["teacher"]>) {
  return { agreement, agreementTop5, kl, euclidean, cka };
}

/** An evaluation in words, a line a split and a line a probe. */
export function spokenLines(step: number, { splits, probes }: Evaluated): string[] {
  const ofSplits = [...splits].map(([split, { accuracy, teacher }]) => {
    const beside = teacher ? `  agreement ${percent(teacher.agreement)}  KL ${teacher.kl.toFixed(4)}` : "";
    return `step ${step}  ${split}: accuracy ${percent(accuracy)}${beside}`;
  });
  const ofProbes = probes.map(({ on, shots }) => {
    const all = shots.map(
      ({ shots, accuracy }) => `${shots} ${shots === 1 ? "shot" : "shots"} ${percent(accuracy)}`,
    );
    return `step ${step}  linear probe on ${on}: ${all.join(", ")}`;
  });
  return [...ofSplits, ...ofProbes];
}
