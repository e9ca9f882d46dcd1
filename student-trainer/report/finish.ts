import type { TrainConfig } from "../config.ts";
import type { CorruptImages } from "../data/corrupt-count.ts";
import type { OpenRun } from "../learn/open-run.ts";
import type { RunFolder } from "../learn/run-folder.ts";
import { bestOf } from "./best.ts";
import { bySplit, bySplitIfAny } from "./by-split.ts";
import { writeCards } from "./card.ts";
import type { Evaluation } from "./evaluate.ts";
import { writePredictions } from "./predictions.ts";
import { writeReport } from "./report.ts";
import { type Evaluated, evaluateAll } from "./splits.ts";
import { type Summary, writeSummary } from "./summary.ts";

/**
 * Evaluates the student as it stands and writes what a run leaves behind: predictions, `student.npz` (its weights,
 * ready to be served), `summary.json` and `report.html`.
 *
 * @param evaluated the closing evaluation, where the student as it stands has just had it
 */
export async function finishRun(
  folder: RunFolder,
  config: TrainConfig,
  run: OpenRun,
  signal: AbortSignal,
  evaluated?: Evaluated,
): Promise<Summary> {
  const { at, student, teachers } = run;
  const found = evaluated ?? (await evaluateAll(run, config, signal));
  const { splits: own, probes } = found;
  const told = new Map([...own].flatMap(([split, { teacher }]) => (teacher ? [[split, teacher]] : [])));
  for (const [split, evaluation] of own) await writePredictions(folder.path, split, evaluation);
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
            accuracy: bySplit(told, "accuracy"),
            accuracyTop5: bySplitIfAny(told, "accuracyTop5"),
          },
    ...(teachers.length > 1 && { teachers: eachTeacher(teachers, own) }),
    student: {
      ...{ parameters, parametersSha256, accuracy: bySplit(own, "accuracy") },
      accuracyTop5: bySplitIfAny(own, "accuracyTop5"),
    },
    agreement: bySplit(told, "agreement"),
    kl: bySplit(told, "kl"),
    agreementTop5: bySplitIfAny(told, "agreementTop5"),
    euclidean: bySplitIfAny(told, "euclidean"),
    cka: bySplitIfAny(told, "cka"),
    probes: probes.length > 0 ? probes : undefined,
    best: await bestOf(folder, config, run, found, signal),
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
function eachTeacher(teachers: OpenRun["teachers"], splits: Map<string, Evaluation>): Summary["teachers"] {
  return teachers.map(({ url, card: { version, parameters } }, nth) => {
    const one = new Map([...splits].map(([split, evaluation]) => [split, evaluation.teachers[nth]!]));
    return {
      ...{ url, version, parameters },
      ...{ accuracy: bySplit(one, "accuracy"), agreement: bySplit(one, "agreement"), kl: bySplit(one, "kl") },
      euclidean: bySplit(one, "euclidean"),
      accuracyTop5: bySplitIfAny(one, "accuracyTop5"),
      agreementTop5: bySplitIfAny(one, "agreementTop5"),
      cka: bySplitIfAny(one, "cka"),
    };
  });
}

function corruptBySplit(corrupt: CorruptImages): Record<string, number> {
  return Object.fromEntries(Object.entries(corrupt).map(([split, images]) => [split, images.length]));
}
