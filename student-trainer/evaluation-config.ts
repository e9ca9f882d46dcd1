/** How a run's student is evaluated: `evaluate` of its config. */
import { z } from "zod";

const count = z.int().positive();

/** Figures that a best checkpoint can be chosen by; of `kl` and `euclidean` the smallest is the best. */
export const METRICS = ["accuracy", "accuracyTop5", "agreement", "agreementTop5", "kl", "euclidean"] as const;
export type Metric = (typeof METRICS)[number];

/** A few-shot linear probe of what the student's head reads; settings as in the paper's code. */
const probe = z.strictObject({
  /** Split that the shots are drawn from, and split that the probe is tested on; their classes may be others than the student's. */
  from: z.string().default("train"),
  on: z.string(),
  /** Images of each class, or all where there are fewer. */
  shots: z.array(count.max(10_000)).min(1).default([1, 5, 10, 25]),
  /** Strength of the regularisation. */
  l2: z.number().positive().default(1024),
  /** How often the shots are drawn anew. */
  draws: count.max(100).default(3),
});
export type ProbeConfig = z.output<typeof probe>;

export const evaluateSchema = z.strictObject({
  everySteps: count.default(200),
  /** Splits that are evaluated every so many steps. At the end of a run all are, but the training images only if named here. */
  splits: z.array(z.string()).default([]),
  batch: count.default(64),
  /** Shorter side that pictures are resized to before the central crop; absent: resolution * 160 / 128. */
  resize: z.int().min(8).max(2048).optional(),
  /** Keeps the checkpoint that is best by a figure of one of `splits`, in checkpoints/best. */
  best: z.strictObject({ split: z.string(), metric: z.enum(METRICS).default("accuracy") }).optional(),
  /** Few-shot linear probes at the end of the run. */
  probes: z.array(probe).default([]),
});
export type EvaluateConfig = z.output<typeof evaluateSchema>;

/**
 * What no single key can tell; the first fault in words, if there is one.
 *
 * @param splits names of all splits under `data`
 * @param taught whether the run has a teacher
 */
export function faultOfEvaluation(
  { splits: every, best, probes }: EvaluateConfig,
  splits: string[],
  taught: boolean,
): string | undefined {
  const unknown = (key: string, split: string) =>
    splits.includes(split) ? [] : [`${key}: "${split}" is not under data`];
  return [
    ...every.flatMap((split) => unknown("evaluate.splits", split)),
    ...(best ? faultsOfBest(best, every, taught) : []),
    ...probes.flatMap(({ from, on }, i) => [
      ...unknown(`evaluate.probes.${i}.from`, from),
      ...unknown(`evaluate.probes.${i}.on`, on),
      ...(from === on ? [`evaluate.probes.${i}: shots are drawn from other images than the test's`] : []),
    ]),
  ][0];
}

function faultsOfBest(
  { split, metric }: NonNullable<EvaluateConfig["best"]>,
  every: string[],
  taught: boolean,
): string[] {
  if (split === "test")
    return [
      "evaluate.best.split: what is chosen by test images says nothing about others: choose by validation",
    ];
  if (!every.includes(split)) return [`evaluate.best.split: "${split}" is not among evaluate.splits`];
  const ofLabels = metric === "accuracy" || metric === "accuracyTop5";
  return taught || ofLabels ? [] : [`evaluate.best.metric: a run without a teacher has no ${metric}`];
}
