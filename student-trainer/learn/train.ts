import { UserError } from "@funmatch/config";
import type { TrainConfig } from "../config.ts";
import { settleSteps } from "../plan/settle-length.ts";
import { finishRun } from "../report/finish.ts";
import { startProgress } from "../report/progress.ts";
import { SAMPLES, writeSamples } from "../report/samples.ts";
import type { Summary } from "../report/summary.ts";
import { type Lecturer, openTeaching } from "../teach/teaching.ts";
import { type Lesson, lessons } from "../teach/window.ts";
import { LEAST } from "../teach/window-size.ts";
import type { FigureLine } from "../tensorboard/event-file.ts";
import { agree } from "./agree.ts";
import { isDue, openExaminer } from "./examiner.ts";
import { teacherRecords } from "./ledger.ts";
import { type OpenRun, openRun, windowOf } from "./open-run.ts";
import { openRecord } from "./record.ts";
import { openRunFolder, type RunFolder, writeConfig } from "./run-folder.ts";
import { scheduleMultiplier } from "./schedule.ts";
import type { StepResult } from "./student-worker.ts";
import { targetsOf } from "./targets.ts";
import { chunkOf, fixedViewOf, shownTeacherViews } from "./teacher-views.ts";

export interface TrainOptions {
  signal: AbortSignal;
  /** Lets a run go on with another version of a teacher than it began with; its ledger tells from which step on. */
  acceptTeacher?: boolean;
  /** Lets a run that has begun go on to another length. */
  changeLength?: boolean;
}

/**
 * Trains a student as the config says, or goes on with the run that is in its folder.
 *
 * @param o.signal ends the run after the step it is in, with a checkpoint
 * @returns the summary, or undefined when the run was interrupted
 * @throws UserError for what a user can mend, TeacherError for an answer that must not be learned from;
 *   the steps before are in a checkpoint then
 */
export async function train(config: TrainConfig, o: TrainOptions): Promise<Summary | undefined> {
  const folder = await openRunFolder(config, o);
  try {
    return await trainIn(folder, config, o);
  } catch (error) {
    if (!o.signal.aborted || error !== o.signal.reason) throw error;
    process.stderr.write("interrupted between two steps; the same command goes on from there\n");
    return undefined;
  } finally {
    await folder.release();
  }
}

async function trainIn(
  folder: RunFolder,
  config: TrainConfig,
  { signal, acceptTeacher }: TrainOptions,
): Promise<Summary | undefined> {
  await using ended = new AsyncDisposableStack();
  const progress = ended.adopt(startProgress(), (line) => line.end());
  const say = progress.note;
  const run = ended.use(await openRun(folder, config, { signal, acceptTeacher, say }));
  const { at, pool, student, classes, data } = run;
  const teachers = lecturersOf(run.teachers, config);
  if (teachers.length > 0 && (at.step === 0 || acceptTeacher))
    await agree(folder, config, { ...run, lecturers: teachers, signal, say });
  const teach = await openTeaching({
    ...{ teachers, data, pool, signal },
    inFlight: config.inFlight ?? LEAST,
    directory: folder.path,
    onProgress: (url, done, of) => say(`asked ${url} for ${done} of ${of} training images`),
  });
  const total = await settleSteps({ run, config, teach, signal, say });
  const record = ended.use(await openRecord(folder, config, run));
  const before = at.totalSteps ?? total;
  at.totalSteps = total;
  if (before !== total || folder.changesLength) {
    record.changedLength({ from: before, to: total });
    say(`after step ${at.step} the run's length changes from ${before} to ${total} steps`);
    await record.save();
  }
  await writeConfig(folder, config); // as settled; not before the ledger tells of another length: a refused one leaves no trace
  const examiner = await openExaminer({ folder, config, run, record, total, signal, say });

  let inStep = false; // while it is, nobody knows whether the student is before or after the step
  try {
    await examiner.examineIfDue(); // what was interrupted in the last sitting
    const steps = { from: at.step + 1, to: total + 1, inFlight: windowOf(config) };
    let wantedAt = performance.now();
    for await (const lesson of lessons({ ...steps, batchOf: pool.train, teach, signal })) {
      const { step, views } = lesson.batch;
      if (step === 1) await showSamples(folder, pool, lesson, teachers);
      const multiplier = scheduleMultiplier(config.schedule, step - 1, total);
      const targets = targetsOf(lesson, classes);
      inStep = true;
      const stepping = student.call("step", { images: views.data, targets, step, multiplier });
      const records = teacherRecords(lesson); // while the student computes
      const result = await stepping;
      checkFinite(result, step);
      pool.release(lesson.batch);
      const stepSeconds = (performance.now() - wantedAt) / 1000;
      const described = isDescribed(config, step, total) ? await student.call("describe", {}) : undefined;
      record.stepped(lesson, { stepSeconds, records, parametersSha256: described?.parametersSha256 });
      inStep = false;

      const { loss } = result;
      progress.step({ step, total, loss, images: config.batch, waitedSeconds: lesson.waitedSeconds });
      if (step === 1 || isDue(step, config.log.everySteps, total))
        record.write(metricsLine(config, lesson, multiplier, result, stepSeconds));
      await examiner.examineIfDue();
      if (isDue(step, config.checkpoint.everySteps, total) && record.savedStep() < step) await record.save();
      wantedAt = performance.now();
    }
  } catch (error) {
    if (at.step > record.savedStep() && !inStep) await record.save();
    if (!signal.aborted) throw error;
    say(`stopped after step ${at.step} of ${total}; the same command goes on from there`);
    return undefined;
  }
  await record[Symbol.asyncDispose]();
  progress.end();
  return await finishRun(folder, config, run, signal, examiner.closing());
}

/** The first images of a run's first batch as student and teachers see them, for the report. */
async function showSamples(
  folder: RunFolder,
  pool: OpenRun["pool"],
  { batch }: Lesson,
  teachers: Lecturer[],
): Promise<void> {
  const fixedViews = teachers.map(({ fixedView }) => fixedView);
  const shown = await shownTeacherViews(pool, batch, fixedViews, SAMPLES);
  await writeSamples(folder.path, batch.views, shown);
}

/** Whether the ledger holds the digest of a step's parameters: of all that a checkpoint may be kept of. */
function isDescribed({ checkpoint, evaluate }: TrainConfig, step: number, total: number): boolean {
  return (
    isDue(step, checkpoint.everySteps, total) ||
    (evaluate.best !== undefined && isDue(step, evaluate.everySteps, total))
  );
}

/** The teachers, each with how the run asks it. */
function lecturersOf(teachers: OpenRun["teachers"], config: TrainConfig): Lecturer[] {
  return teachers.map((teacher, i) => {
    const spec = config.teachers[i]!;
    return { teacher, chunk: chunkOf(spec, config), fixedView: fixedViewOf(spec, config) };
  });
}

function metricsLine(
  config: TrainConfig,
  { batch, waitedSeconds }: Lesson,
  multiplier: number,
  { loss, gradientNorm, updateNorm }: StepResult,
  stepSeconds: number,
): FigureLine {
  return {
    ...{ step: batch.step, epoch: batch.epoch, loss },
    learningRate: config.optimizer.learningRate * multiplier,
    ...{ gradientNorm, updateNorm, lambda: batch.lambda },
    replacedImages: batch.replaced?.length, // left out where it is none
    imagesPerSecond: config.batch / stepSeconds,
    ...{ stepSeconds, waitedSeconds },
  };
}

/** A number that is none has spoilt the parameters: the last checkpoint must stay the newest. */
function checkFinite(result: StepResult, step: number): void {
  for (const [name, value] of Object.entries(result))
    if (!Number.isFinite(value))
      throw new UserError(
        `${name} became ${value} at step ${step}: lower optimizer.learningRate in a new run`,
      );
}
