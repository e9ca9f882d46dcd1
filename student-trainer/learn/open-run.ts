import { availableParallelism } from "node:os";
import { secret, UserError } from "@funmatch/config";
import type { TrainConfig } from "../config.ts";
import { openPool, type PoolOptions, type ViewPool } from "../data/pool.ts";
import type { Source } from "../data/source.ts";
import { largestChunk } from "../teach/chunks.ts";
import { openTeacher, type Teacher } from "../teach/client.ts";
import { DESIGNS, type Design } from "../teach/designs.ts";
import { type Checkpoint, readNewestCheckpoint } from "./checkpoint.ts";
import { FIRST_CHAIN } from "./ledger.ts";
import { totalSteps } from "./length.ts";
import { type RunFolder, writeConfig } from "./run-folder.ts";
import { scheduleMultiplier } from "./schedule.ts";
import { type Student, startStudent } from "./student.ts";
import { teacherResolution, teacherViewsOf } from "./teacher-views.ts";

/** Where a run stands: a checkpoint without the digests of its state. */
export type Standing = Omit<Checkpoint, "stateSha256" | "parametersSha256">;

/** A run with all its parts started; disposing of it ends them. */
export interface OpenRun extends AsyncDisposable {
  at: Standing;
  /** Steps of the whole run; absent where its time is yet to be measured (`settleSteps`). */
  total?: number;
  classes: number;
  chunk: number;
  data: Source;
  pool: ViewPool;
  student: Student;
  /** Absent where labels teach. */
  teacher?: Teacher;
}

/**
 * Starts the parts of a run where its newest checkpoint stands, or at its beginning, and checks that data and
 * teacher are those that it began with and that they fit together.
 *
 * @throws UserError, TeacherError
 */
export async function openRun(
  folder: RunFolder,
  config: TrainConfig,
  o: { signal: AbortSignal; say: (line: string) => void },
): Promise<OpenRun> {
  await using opened = new AsyncDisposableStack();
  const design: Design = DESIGNS[config.design];
  const found = await readNewestCheckpoint(folder.checkpoints, o.say);
  const teacher = await openTeacherOf(config, found?.checkpoint.teacherVersion, o);
  if (teacher) opened.defer(() => teacher.close());
  const chunk = await settleChunk(folder, config, teacher);
  const pool = await openPool({
    ...poolOptions(config, chunk),
    corrupt: found?.checkpoint.corrupt,
    onCorrupt: o.say,
  });
  opened.defer(() => pool.close());
  const data = pool.sources.train!;
  const at: Standing = found?.checkpoint ?? beginning(config, data.digest);
  checkSameData(at, data.digest, config);
  const classes = classesOf(teacher, data.labels, config);
  const total = totalSteps(config.length, data.size, config.batch);
  if (total !== undefined) scheduleMultiplier(config.schedule, 0, total); // refuses what does not fit the run's length
  const student = await startStudent(config, {
    classes,
    teaching: design.teaching.kind === "labels" ? "labels" : "logits",
    stateFile: found?.stateFile,
  });
  opened.defer(() => student.terminate());
  const parts = opened.move();
  return {
    ...{ at, total, classes, chunk, data, pool, student, teacher },
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
export function poolOptions(config: TrainConfig, chunk: number): PoolOptions {
  const design: Design = DESIGNS[config.design];
  const { train, maxCorrupt, ...others } = config.data;
  return {
    train,
    splits: Object.fromEntries(Object.entries(others).filter(([, spec]) => spec)),
    seed: config.seed,
    batch: config.batch,
    resolution: config.student.resolution,
    chunk,
    view: design.view,
    crop: config.crop,
    centralSide: config.evaluate.resize,
    ...mixupOf(design, config.mixup),
    teacher: teacherViewsOf(config),
    workers: config.workers ?? Math.min(8, availableParallelism()),
    maxCorrupt,
  };
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

/** The teacher that a config names, if it names one; `began`: the version that it must be. */
export async function openTeacherOf(
  config: TrainConfig,
  began: string | undefined,
  o: { signal: AbortSignal; say: (line: string) => void },
): Promise<Teacher | undefined> {
  const [spec] = config.teachers;
  if (!spec) return undefined;
  const key = spec.key === undefined ? undefined : secret(spec.key);
  const pinnedVersion = began ?? spec.version;
  return openTeacher({ url: spec.url, key, pinnedVersion, onWait: o.say, signal: o.signal });
}

/** The number of classes, which must be the teacher's and the data's. */
function classesOf(teacher: Teacher | undefined, labels: string[], config: TrainConfig): number {
  if (!teacher) return labels.length;
  const { card, url } = teacher;
  if (card.classes !== labels.length)
    throw new UserError(`${url} has ${card.classes} classes, but the training data has ${labels.length}`);
  const sameNames = card.labels && new Set([...card.labels, ...labels]).size === labels.length;
  if (card.labels && sameNames && card.labels.some((label, i) => label !== labels[i]))
    throw new UserError(
      `${url} has the classes of the training data in another order (${card.labels.join(", ")}): ` +
        "accuracies would mean nothing; correct the labels in the teacher's config",
    );
  const { resolution, resizes } = card.input;
  if (resolution !== teacherResolution(config) && !resizes)
    throw new UserError(
      `${url} takes ${resolution} px and does not resize: set teachers.resolution or student.resolution to ${resolution}`,
    );
  return card.classes;
}

/** The chunk size is part of the run, so it is settled once and written into the run's config. */
async function settleChunk(folder: RunFolder, config: TrainConfig, teacher?: Teacher): Promise<number> {
  if (!teacher) return config.batch;
  const most = largestChunk(teacher.limits, teacherResolution(config) ** 2 * 3);
  if (config.chunk !== undefined && config.chunk > most)
    throw new UserError(
      `chunk is ${config.chunk} images, but ${teacher.url} takes at most ${most} a request`,
    );
  if (config.chunk === undefined) {
    config.chunk = Math.min(config.batch, most);
    await writeConfig(folder, config);
  }
  return config.chunk;
}
