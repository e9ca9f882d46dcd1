/** A view thread: makes one batch at a time, as the pool asks. */
import { parentPort, workerData } from "node:worker_threads";
import { UserError } from "@funmatch/config";
import { type EvalBatch, makeEvalBatch, makeTrainBatch, type Recipe, type TrainBatch } from "./batch.ts";
import { type FixedBatch, type FixedView, makeFixedViews } from "./fixed-views.ts";
import { type Source, type SourceIndex, sourceOf } from "./source.ts";

/** What a view thread is started with. */
export interface ThreadData {
  recipe: Recipe;
  sources: Record<string, SourceIndex>;
}

/** What the pool asks of a thread; the batch is written into `memory`. */
export type Task =
  | { kind: "train"; step: number; memory: SharedArrayBuffer }
  | { kind: "fixed"; view: FixedView; start: number; count: number; memory: SharedArrayBuffer }
  | { kind: "evaluation"; split: string; start: number; count: number; memory: SharedArrayBuffer };

/** A thread's answer to a task. */
export type Outcome =
  | { batch: TrainBatch | EvalBatch | FixedBatch }
  | { failure: { message: string; usersMistake: boolean } };

const port = parentPort!;
const { recipe, sources } = workerData as ThreadData;
const opened = new Map<string, Source>(
  Object.entries(sources).map(([split, index]) => [split, sourceOf(index)]),
);

function make(task: Task): Promise<TrainBatch | EvalBatch | FixedBatch> {
  if (task.kind === "train") return makeTrainBatch(opened.get("train")!, recipe, task.step, task.memory);
  const { start, count, memory } = task;
  if (task.kind === "fixed") return makeFixedViews(opened.get("train")!, task.view, start, count, memory);
  const { split } = task;
  return makeEvalBatch(opened.get(split)!, recipe, start, count, memory);
}

port.on("message", async (task: Task | "close") => {
  if (task === "close") {
    port.close();
    return;
  }
  let outcome: Outcome;
  try {
    outcome = { batch: await make(task) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    outcome = { failure: { message, usersMistake: error instanceof UserError } };
  }
  port.postMessage(outcome);
});
