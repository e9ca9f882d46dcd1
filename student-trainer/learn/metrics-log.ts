import type { TrainConfig } from "../config.ts";
import { type FigureLine, openEventFile } from "../tensorboard/event-file.ts";
import { openJournal } from "./journal.ts";
import type { Standing } from "./open-run.ts";
import type { RunFolder } from "./run-folder.ts";

/** Where a run's figures go: `metrics.jsonl` and, unless it is switched off, event files for TensorBoard. */
export interface MetricsLog {
  write(line: FigureLine): void;
  /** Makes every line reach the disk and notes in `at` where the files stand. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Opens both where `at` says that a checkpoint left them. */
export async function openMetricsLog(
  folder: RunFolder,
  { log }: Pick<TrainConfig, "log">,
  at: Standing,
): Promise<MetricsLog> {
  const journal = await openJournal(folder.file("metrics.jsonl"), at.metricsBytes);
  const events = log.tensorboard
    ? await openEventFile(folder.file("tensorboard"), at.tensorboard, at.step)
    : undefined;
  return {
    write(line) {
      journal.write(line);
      events?.write(line);
    },
    async flush() {
      at.metricsBytes = await journal.flush();
      if (events) at.tensorboard = await events.flush();
    },
    async close() {
      await journal.close();
      await events?.close();
    },
  };
}
