import { randomUUID } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const perSplit = z.record(z.string(), z.number());
/** A figure by the name of the split that it is of; splits without it are left out. */
export type BySplit = z.output<typeof perSplit>;

const oneOfSeveral = z.object({
  ...{ url: z.string(), version: z.string(), parameters: z.int() },
  ...{ accuracy: perSplit, agreement: perSplit, kl: perSplit, euclidean: perSplit },
  ...{ accuracyTop5: perSplit.optional(), agreementTop5: perSplit.optional(), cka: perSplit.optional() },
});

const probeSchema = z.object({
  ...{ on: z.string(), from: z.string() },
  shots: z.array(z.object({ shots: z.int(), accuracy: z.number(), accuracies: z.array(z.number()) })),
});

const bestSchema = z.object({
  ...{
    step: z.int(),
    split: z.string(),
    metric: z.string(),
    value: z.number(),
    parametersSha256: z.string(),
  },
  ...{ accuracy: perSplit, agreement: perSplit, kl: perSplit },
  ...{
    accuracyTop5: perSplit.optional(),
    agreementTop5: perSplit.optional(),
    euclidean: perSplit.optional(),
  },
});

/** `summary.json`: what a run came to. */
export const summarySchema = z.object({
  steps: z.int(),
  /** Steps whose logits the teacher gave for the very bytes that its design has for it: those trained on, but for ind/*. */
  verifiedSteps: z.int(),
  /** Why no step can be verified, where a teacher's answers do not say what they are for. */
  unverified: z.string().optional(),
  seconds: z.number(),
  imagesPerSecond: z.number(),
  /** Share of the time that the student stood idle for its teacher. */
  waitingForTeacher: z.number(),
  /** Null where labels teach; of several teachers their ensemble, with all versions and parameters. */
  teacher: z
    .object({
      ...{ version: z.string(), parameters: z.int(), accuracy: perSplit },
      accuracyTop5: perSplit.optional(),
    })
    .nullable(),
  /** Each of several. */
  teachers: z.array(oneOfSeveral).optional(),
  student: z.object({
    ...{ parameters: z.int(), accuracy: perSplit, parametersSha256: z.string() },
    accuracyTop5: perSplit.optional(),
  }),
  /** Share of equal first choices. */
  agreement: perSplit,
  /** Mean KL divergence from the teacher at temperature 1, in nats. */
  kl: perSplit,
  /** Share where the teacher's first choice is among the student's first five. */
  agreementTop5: perSplit.optional(),
  /** Mean euclidean distance between the logits. */
  euclidean: perSplit.optional(),
  /** Linear CKA of the student's features with the teacher's logits. */
  cka: perSplit.optional(),
  /** Few-shot linear probes of the student's features. */
  probes: z.array(probeSchema).optional(),
  /** The checkpoint that is best by the config's choice, and its figures. */
  best: bestSchema.optional(),
  /** Evaluation requests that the gateway's cache answered, and did not. */
  cache: z.object({ hits: z.int(), misses: z.int() }),
  /** Corrupt images that were met, by split; only splits that have any. */
  corruptImages: z.record(z.string(), z.int()).optional(),
});

export type Summary = z.output<typeof summarySchema>;

/** Writes `summary.json` into a run's folder, whole or not at all. */
export async function writeSummary(run: string, summary: Summary): Promise<void> {
  const path = join(run, "summary.json");
  const draft = `${path}.${randomUUID()}.tmp`;
  await writeFile(draft, `${JSON.stringify(summarySchema.parse(summary), null, 2)}\n`);
  await rename(draft, path);
}
