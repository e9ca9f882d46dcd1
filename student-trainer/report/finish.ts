import type { TrainConfig } from "../config.ts";
import type { CorruptImages } from "../data/corrupt-count.ts";
import type { OpenRun } from "../learn/open-run.ts";
import type { RunFolder } from "../learn/run-folder.ts";
import { writeCards } from "./card.ts";
import type { Evaluation } from "./evaluate.ts";
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
  const { at, student, teachers } = run;
  const evaluations = await evaluateSplits(run, config.evaluate, signal);
  for (const [split, evaluation] of evaluations) await writePredictions(folder.path, split, evaluation);
  await student.call("exportWeights", { path: folder.file("student.npz") });
  const { parameters, parametersSha256 } = await student.call("describe", {});
  const summary: Summary = {
    steps: at.step,
    verifiedSteps: at.verifiedSteps,
    unverified: whyUnverified(teachers),
    seconds: at.trainingSeconds,
    imagesPerSecond: at.trainingSeconds > 0 ? (at.step * config.batch) / at.trainingSeconds : 0,
    waitingForTeacher: at.trainingSeconds > 0 ? at.waitingSeconds / at.trainingSeconds : 0,
    teacher:
      teachers.length === 0
        ? null
        : {
            version: teachers.map(({ card }) => card.version).join(" + "),
            parameters: teachers.reduce((sum, { card }) => sum + card.parameters, 0),
            accuracy: bySplit(evaluations, "teacherAccuracy"),
          },
    ...(teachers.length > 1 && { teachers: eachTeacher(teachers, evaluations) }),
    student: { parameters, accuracy: bySplit(evaluations, "accuracy"), parametersSha256 },
    agreement: bySplit(evaluations, "agreement"),
    kl: bySplit(evaluations, "kl"),
    cache: { hits: at.cacheHits, misses: at.cacheMisses },
    corruptImages: corruptBySplit(run.pool.corrupt()),
  };
  await writeSummary(folder.path, summary);
  const cards = teachers.map(({ card }) => card);
  if (cards.length > 0) await writeCards(folder.path, cards);
  process.stderr.write(`report: ${await writeReport(folder.path)}\n`);
  return summary;
}

function whyUnverified(teachers: OpenRun["teachers"]): string | undefined {
  const silent = teachers.filter(({ echoesDigest }) => !echoesDigest).map(({ url }) => url);
  if (silent.length === 0) return undefined;
  return `answers of ${silent.join(", ")} (Open Inference Protocol) carry no digest of what they are for`;
}

/** Each of several teachers, with the student's figures beside it. */
function eachTeacher(
  teachers: OpenRun["teachers"],
  evaluations: Map<string, Evaluation>,
): Summary["teachers"] {
  return teachers.map(({ url, card: { version, parameters } }, t) => {
    const figure = (name: "accuracy" | "agreement" | "kl") =>
      Object.fromEntries([...evaluations].map(([split, { teachers: each }]) => [split, each![t]![name]]));
    return {
      ...{ url, version, parameters },
      ...{ accuracy: figure("accuracy"), agreement: figure("agreement"), kl: figure("kl") },
    };
  });
}

function corruptBySplit(corrupt: CorruptImages): Record<string, number> {
  return Object.fromEntries(Object.entries(corrupt).map(([split, images]) => [split, images.length]));
}
