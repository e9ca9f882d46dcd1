import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { type Series, series } from "./series.ts";

/** An evaluation, as a line of `metrics.jsonl` that names its split. */
export interface EvaluationLine {
  step: number;
  split: string;
  accuracy: number;
  accuracyTop5?: number;
  agreement?: number;
  agreementTop5?: number;
  kl?: number;
  euclidean?: number;
  cka?: number;
}

/** The curves of a run. */
export interface Curves {
  loss: Series;
  learningRate: Series;
  imagesPerSecond: Series;
  /** Share of a step's time that the student stood idle for its teacher. */
  waiting: Series;
  evaluations: EvaluationLine[];
  lastStep: number;
}

const POINTS = 400;

/**
 * Reads `metrics.jsonl`, line by line and thinned, so that its length matters little. What is not whole (the last
 * line of a run that was killed) is passed over.
 */
export async function readCurves(path: string): Promise<Curves> {
  const curves: Curves = {
    loss: series(POINTS),
    learningRate: series(POINTS),
    imagesPerSecond: series(POINTS),
    waiting: series(POINTS),
    evaluations: [],
    lastStep: 0,
  };
  for await (const text of createInterface({ input: createReadStream(path) })) {
    const line = parsed(text);
    if (!line) continue;
    const { step } = line as { step: number };
    curves.lastStep = Math.max(curves.lastStep, step);
    if ("probe" in line) continue; // the summary has them
    if ("split" in line) {
      curves.evaluations.push(line as unknown as EvaluationLine);
      continue;
    }
    if ("totalSteps" in line) continue; // where the run's length was changed
    curves.loss.add(step, Number(line.loss));
    curves.learningRate.add(step, Number(line.learningRate));
    curves.imagesPerSecond.add(step, Number(line.imagesPerSecond));
    curves.waiting.add(step, Number(line.waitedSeconds) / Number(line.stepSeconds));
  }
  return curves;
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const line = JSON.parse(text) as Record<string, unknown> | null;
    return typeof line?.step === "number" ? line : undefined;
  } catch {
    return undefined;
  }
}
