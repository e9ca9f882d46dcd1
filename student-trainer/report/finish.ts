import type { TrainConfig } from "../config.ts";
import type { CorruptImages } from "../data/corrupt-count.ts";
import type { OpenRun } from "../learn/open-run.ts";
import type { RunFolder } from "../learn/run-folder.ts";
import { writeCard } from "./card.ts";
import { writePredictions } from "./predictions.ts";
import { writeReport } from "./report.ts";
import { bySplit, evaluateSplits } from "./splits.ts";
import { type Summary, writeSummary } from "./summary.ts";

/**
 * Evaluates the student as it stands and writes what a run leaves behind: predictions, `student.npz` (its weights,
 * ready to be served), `summary.json` and `report.html`.
 */
export async function finishRun(
  folder: RunFolder,
  config: TrainConfig,
  run: OpenRun,
  signal: AbortSignal,
): Promise<Summary> {
  const { at, student, teacher } = run;
  const evaluations = await evaluateSplits(run, config.evaluate, signal);
  for (const [split, evaluation] of evaluations) await writePredictions(folder.path, split, evaluation);
  await student.call("exportWeights", { path: folder.file("student.npz") });
  const { parameters, parametersSha256 } = await student.call("describe", {});
  const summary: Summary = {
    steps: at.step,
    verifiedSteps: at.verifiedSteps,
    seconds: at.trainingSeconds,
    imagesPerSecond: at.trainingSeconds > 0 ? (at.step * config.batch) / at.trainingSeconds : 0,
    waitingForTeacher: at.trainingSeconds > 0 ? at.waitingSeconds / at.trainingSeconds : 0,
    teacher: teacher
      ? {
          version: teacher.card.version,
          parameters: teacher.card.parameters,
          accuracy: bySplit(evaluations, "teacherAccuracy"),
        }
      : null,
    student: { parameters, accuracy: bySplit(evaluations, "accuracy"), parametersSha256 },
    agreement: bySplit(evaluations, "agreement"),
    kl: bySplit(evaluations, "kl"),
    cache: { hits: at.cacheHits, misses: at.cacheMisses },
    corruptImages: corruptBySplit(run.pool.corrupt()),
  };
  await writeSummary(folder.path, summary);
  if (teacher) await writeCard(folder.path, teacher.card);
  process.stderr.write(`report: ${await writeReport(folder.path)}\n`);
  return summary;
}

function corruptBySplit(corrupt: CorruptImages): Record<string, number> {
  return Object.fromEntries(Object.entries(corrupt).map(([split, images]) => [split, images.length]));
}
