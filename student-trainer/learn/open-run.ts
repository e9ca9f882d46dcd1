import { availableParallelism } from "node:os";
import { UserError } from "@funmatch/config";
import { splitsOf, type TrainConfig } from "../config.ts";
import { bytesOfBatch } from "../data/layers.ts";
import { openPool, type PoolOptions, type ViewPool } from "../data/pool.ts";
import type { Source } from "../data/source.ts";
import type { Teacher } from "../teach/client.ts";
import { DESIGNS, type Design } from "../teach/designs.ts";
import { type WindowSize, windowSize } from "../teach/window-size.ts";
import { readCheckpoint } from "./best-checkpoint.ts";
import { checkEvaluation } from "./check-evaluation.ts";
import { type Checkpoint, readNewestCheckpoint } from "./checkpoint.ts";
import { FIRST_CHAIN } from "./ledger.ts";
import { totalSteps } from "./length.ts";
import { classesOf, type Opening, openTeachersOf, settleChunks } from "./open-teachers.ts";
import type { RunFolder } from "./run-folder.ts";
import { scheduleMultiplier } from "./schedule.ts";
import { type Student, startStudent } from "./student.ts";
import { teacherViewsOf } from "./teacher-views.ts";

/** Where a run stands: a checkpoint without the digests of its state. */
export type Standing = Omit<Checkpoint, "stateSha256" | "parametersSha256">;

/** A run with all its parts started; disposing of it ends them. */
export interface OpenRun extends AsyncDisposable {
  at: Standing;
  /** Steps of the whole run; absent where its time is yet to be measured (`settleSteps`). */
  total?: number;
  classes: number;
  data: Source;
  pool: ViewPool;
  student: Student;
  /** In the order of the config; none where labels teach. */
  teachers: Teacher[];
}

/**
 * Starts the parts of a run where its newest checkpoint stands, or at its beginning, and checks that data and
 * teacher are those that it began with and that they fit together.
 *
 * @param o.checkpoint another checkpoint than the newest, to look at
 * @throws UserError, TeacherError
 */
export async function openRun(
  folder: RunFolder,
  config: TrainConfig,
  o: Opening & { checkpoint?: "best" | number },
): Promise<OpenRun> {
  await using opened = new AsyncDisposableStack();
  const design: Design = DESIGNS[config.design];
  const found =
    o.checkpoint === undefined
      ? await readNewestCheckpoint(folder.checkpoints, o.say)
      : await readCheckpoint(folder.checkpoints, o.checkpoint);
  const teachers = await openTeachersOf(config, found?.checkpoint.teacherVersions, o);
  for (const teacher of teachers) opened.defer(() => teacher.close());
  settleChunks(config, teachers);
  const pool = await openPool({
    ...poolOptions(config),
    corrupt: found?.checkpoint.corrupt,
    onCorrupt: o.say,
  });
  opened.defer(() => pool.close());
  const data = pool.sources.train!;
  checkEvaluation(config.evaluate, pool.sources);
  const at: Standing = found?.checkpoint ?? beginning(config, data.digest);
  checkSameData(at, data.digest, config);
  const classes = classesOf(teachers, data.labels, config);
  const total = totalSteps(config.length, data.size, config.batch);
  if (total !== undefined) scheduleMultiplier(config.schedule, 0, total); // refuses what does not fit the run's length
  const student = await startStudent(config, {
    classes,
    teaching: design.teaching.kind === "labels" ? "labels" : "logits",
    stateFile: found?.stateFile,
  });
  opened.defer(() => student.terminate());
  await settleCompute(config, student, o.say);
  const parts = opened.move();
  return {
    ...{ at, total, classes, data, pool, student, teachers },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** How a design's batches are mixed. */
function mixupOf(design: Design, mixup: TrainConfig["mixup"]): { mixup: number; lambdaEach: boolean } {
  if (!design.mixup) return { mixup: 0, lambdaEach: false };
  return typeof mixup === "number"
    ? { mixup, lambdaEach: false }
    : { mixup: mixup.p, lambdaEach: mixup.lambda === "example" };
}

/** What a run's batches are made of; whoever makes them again with it gets the same bytes. */
export function poolOptions(config: TrainConfig): PoolOptions {
  const design: Design = DESIGNS[config.design];
  const { train, ...splits } = splitsOf(config.data);
  return {
    train: train!,
    splits,
    otherClasses: config.evaluate.probes.flatMap(({ from, on }) => [from, on]),
    seed: config.seed,
    batch: config.batch,
    resolution: config.student.resolution,
    chunk: config.chunk ?? config.batch,
    view: design.view,
    crop: config.crop,
    centralSide: config.evaluate.resize,
    ...mixupOf(design, config.mixup),
    teachers: teacherViewsOf(config),
    workers: config.workers ?? Math.min(8, availableParallelism()),
    maxCorrupt: config.data.maxCorrupt,
  };
}

/** How many steps of a run are under way beside the one being learned. */
export function windowOf(config: TrainConfig): WindowSize {
  return windowSize({ inFlight: config.inFlight, batchBytes: bytesOfBatch(poolOptions(config)) });
}

function beginning(config: TrainConfig, dataDigest: string): Standing {
  return {
    step: 0,
    order: { seed: config.seed, batch: config.batch, examplesSeen: 0 },
    evaluatedStep: 0,
    dataDigest,
    metricsBytes: 0,
    ledgerBytes: 0,
    ledgerChain: FIRST_CHAIN,
    verifiedSteps: 0,
    trainingSeconds: 0,
    waitingSeconds: 0,
    cacheHits: 0,
    cacheMisses: 0,
  };
}

function checkSameData(at: Standing, digest: string, config: TrainConfig): void {
  if (at.dataDigest !== digest)
    throw new UserError(
      `the training images are not those that ${config.run} began with (${at.dataDigest}, now ${digest}): ` +
        "put them back to go on, or choose another run",
    );
}

/** What is computed in is part of the run: where it was to be measured, the outcome is settled in the config. */
async function settleCompute(
  config: TrainConfig,
  student: Student,
  say: (line: string) => void,
): Promise<void> {
  if (config.compute !== "auto") return;
  const { compute, times } = await student.call("compute", {});
  config.compute = compute;
  const took = Object.entries(times!).map(([name, ms]) => `${Math.round(ms)} ms in ${name}`);
  say(`compute: ${compute} (a ${config.accumulate > 1 ? "micro-batch" : "step"} takes ${took.join(", ")})`);
}
