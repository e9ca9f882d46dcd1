import { randomUUID } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const perSplit = z.record(z.string(), z.number());

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
  teacher: z.object({ version: z.string(), parameters: z.int(), accuracy: perSplit }).nullable(),
  /** Each of several. */
  teachers: z
    .array(
      z.object({
        url: z.string(),
        version: z.string(),
        parameters: z.int(),
        accuracy: perSplit,
        agreement: perSplit,
        kl: perSplit,
      }),
    )
    .optional(),
  student: z.object({ parameters: z.int(), accuracy: perSplit, parametersSha256: z.string() }),
  /** Share of equal first choices. */
  agreement: perSplit,
  /** Mean KL divergence from the teacher at temperature 1, in nats. */
  kl: perSplit,
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
