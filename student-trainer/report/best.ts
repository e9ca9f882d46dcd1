import type { TrainConfig } from "../config.ts";
import { isBestOf } from "../learn/best.ts";
import { readCheckpoint } from "../learn/best-checkpoint.ts";
import type { OpenRun } from "../learn/open-run.ts";
import type { RunFolder } from "../learn/run-folder.ts";
import { bySplit, bySplitIfAny, type Figures } from "./by-split.ts";
import { ensembleFigures, teacherFigures } from "./figures.ts";
import { type Evaluated, evaluateSplits } from "./splits.ts";
import type { Summary } from "./summary.ts";

/**
 * What the best checkpoint comes to on all splits; undefined where the config asks for none. Teachers are not asked
 * again: what they said in the closing evaluation holds.
 */
export async function bestOf(
  folder: RunFolder,
  config: TrainConfig,
  run: OpenRun,
  closing: Evaluated,
  signal: AbortSignal,
): Promise<Summary["best"]> {
  const { best } = run.at;
  if (!isBestOf(best, config.evaluate.best)) return undefined;
  const { checkpoint, stateFile } = await readCheckpoint(folder.checkpoints, "best");
  const figures =
    best.step === run.at.step
      ? closingFigures(closing)
      : await figuresOf(stateFile, config, run, closing, signal);
  return {
    ...best,
    parametersSha256: checkpoint.parametersSha256,
    accuracy: bySplit(figures, "accuracy"),
    agreement: bySplit(figures, "agreement"),
    kl: bySplit(figures, "kl"),
    accuracyTop5: bySplitIfAny(figures, "accuracyTop5"),
    agreementTop5: bySplitIfAny(figures, "agreementTop5"),
    euclidean: bySplitIfAny(figures, "euclidean"),
  };
}

function closingFigures({ splits }: Evaluated): Map<string, Figures> {
  return new Map(
    [...splits].map(([split, evaluation]) => {
      const { accuracy, accuracyTop5, teacher } = evaluation;
      return [split, { ...teacher, accuracy, accuracyTop5 }];
    }),
  );
}

async function figuresOf(
  stateFile: string,
  config: TrainConfig,
  run: OpenRun,
  closing: Evaluated,
  signal: AbortSignal,
): Promise<Map<string, Figures>> {
  const { student, classes } = run;
  await student.call("forwardFrom", { stateFile });
  const splits = [...closing.splits.keys()];
  const { batch } = config.evaluate;
  const { splits: found } = await evaluateSplits({ ...run, teachers: [] }, { splits, batch }, signal);
  await student.call("forwardFrom", {});
  return new Map(
    [...found].map(([split, { student, accuracy, accuracyTop5 }]) => {
      const { teacher, teachers } = closing.splits.get(split)!;
      const figures = teachers.length > 1 ? ensembleFigures : teacherFigures;
      const distances = teacher && figures(student, teacher.logits, classes);
      return [split, { accuracy, accuracyTop5, ...distances }];
    }),
  );
}
