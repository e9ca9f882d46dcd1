import type { TrainConfig } from "../config.ts";
import { isVerified, type Lesson } from "../teach/window.ts";
import type { FigureLine } from "../tensorboard/event-file.ts";
import { writeCheckpoint } from "./checkpoint.ts";
import { openJournal } from "./journal.ts";
import { FIRST_CHAIN, ledgerChange, ledgerHead, ledgerLine, type TeacherRecord } from "./ledger.ts";
import { openMetricsLog } from "./metrics-log.ts";
import type { OpenRun } from "./open-run.ts";
import { bindingConfig, type RunFolder } from "./run-folder.ts";

/** What a run writes down as it goes: metrics, ledger, and the checkpoints that both belong to. */
export interface RunRecord extends AsyncDisposable {
  /** Adds a line to the metrics. */
  write(line: FigureLine): void;
  /** The student has taken this lesson's step: the ledger tells of it, and the run stands after it. */
  stepped(
    lesson: Lesson,
    o: { stepSeconds: number; records: TeacherRecord[]; parametersSha256?: string },
  ): void;
  /** Ledger and metrics tell that the run has another length from here on. */
  changedLength(totalSteps: { from: number; to: number }): void;
  /** Makes a checkpoint of where the run stands. */
  save(): Promise<void>;
  /** Step of the newest checkpoint. */
  savedStep(): number;
}

/** Opens a run's record where its newest checkpoint left it, and begins the ledger of a run that has none. */
export async function openRecord(folder: RunFolder, config: TrainConfig, run: OpenRun): Promise<RunRecord> {
  const { at, pool, student, data } = run;
  await using opened = new AsyncDisposableStack();
  const metrics = await openMetricsLog(folder, config, at);
  opened.defer(() => metrics.close());
  const ledger = await openJournal(folder.file("ledger.jsonl"), at.ledgerBytes);
  opened.defer(() => ledger.close());
  const enter = (line: { chain: string }) => {
    ledger.write(line);
    at.ledgerChain = line.chain;
  };
  if (at.ledgerChain === FIRST_CHAIN) {
    const images = { digest: data.digest, images: data.size };
    enter(ledgerHead({ data: images, config: bindingConfig(config) }));
  }
  let savedStep = at.step;
  const files = opened.move();

  return {
    write: metrics.write,
    stepped(lesson, { stepSeconds, records, parametersSha256 }) {
      const replaced = replacedBy(lesson, at.teacherVersions);
      enter(ledgerLine(lesson, at.ledgerChain, parametersSha256, replaced, records));
      at.step = lesson.batch.step;
      at.teacherVersions = lesson.taught.map(({ version }) => version);
      at.verifiedSteps += isVerified(lesson) ? 1 : 0;
      at.trainingSeconds += stepSeconds;
      at.waitingSeconds += lesson.waitedSeconds;
    },
    changedLength(totalSteps) {
      const { length } = bindingConfig(config) as { length: object };
      const change = { step: at.step, length, totalSteps };
      metrics.write(change);
      enter(ledgerChange(change, at.ledgerChain));
    },
    async save() {
      await metrics.flush();
      at.ledgerBytes = await ledger.flush();
      at.corrupt = pool.corrupt();
      at.order.examplesSeen = at.step * config.batch;
      const saveState = (path: string) => student.call("save", { path });
      await writeCheckpoint(folder.checkpoints, at, saveState, config.checkpoint);
      savedStep = at.step;
    },
    savedStep: () => savedStep,
    [Symbol.asyncDispose]: () => files.disposeAsync(),
  };
}

/** The versions that taught before, where a lesson is taught by others. */
function replacedBy({ taught }: Lesson, before: string[] = []): (string | undefined)[] {
  return taught.map(({ version }, i) => (before[i] === version ? undefined : before[i]));
}
