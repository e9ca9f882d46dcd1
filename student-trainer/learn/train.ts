import { UserError } from "@funmatch/config";
import type { TrainConfig } from "../config.ts";
import { settleSteps } from "../plan/settle-length.ts";
import { metricsLines, spokenLines } from "../report/evaluation-lines.ts";
import { finishRun } from "../report/finish.ts";
import { startProgress } from "../report/progress.ts";
import { SAMPLES, writeSamples } from "../report/samples.ts";
import { type Evaluated, evaluateAll, evaluateSplits } from "../report/splits.ts";
import type { Summary } from "../report/summary.ts";
import { type Lecturer, openTeaching } from "../teach/teaching.ts";
import { isVerified, type Lesson, lessons } from "../teach/window.ts";
import type { FigureLine } from "../tensorboard/event-file.ts";
import { agree } from "./agree.ts";
import { betterBest } from "./best.ts";
import { keepBest } from "./best-checkpoint.ts";
import { writeCheckpoint } from "./checkpoint.ts";
import { openJournal } from "./journal.ts";
import { FIRST_CHAIN, ledgerChange, ledgerHead, ledgerLine } from "./ledger.ts";
import { openMetricsLog } from "./metrics-log.ts";
import { type OpenRun, openRun } from "./open-run.ts";
import { bindingConfig, openRunFolder, type RunFolder } from "./run-folder.ts";
import { scheduleMultiplier } from "./schedule.ts";
import type { StepResult } from "./student-worker.ts";
import { targetsOf } from "./targets.ts";
import { fixedViewOf, shownTeacherViews } from "./teacher-views.ts";

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
  const progress = startProgress();
  ended.defer(() => progress.end());
  await using run = await openRun(folder, config, { signal, acceptTeacher, say: progress.note });
  const { at, pool, student, classes, data } = run;
  const teachers = lecturersOf(run.teachers, config);
  if (teachers.length > 0 && (at.step === 0 || acceptTeacher))
    await agree(folder, config, { ...run, lecturers: teachers, signal, say: progress.note });
  const teach = await openTeaching({
    ...{ teachers, data, pool, signal },
    inFlight: config.inFlight,
    directory: folder.path,
    onProgress: (url, done, of) => progress.note(`asked ${url} for ${done} of ${of} training images`),
  });
  const total = await settleSteps({ run, folder, config, teach, signal, say: progress.note });
  const metrics = await openMetricsLog(folder, config, at);
  ended.defer(() => metrics.close());
  const ledger = await openJournal(folder.file("ledger.jsonl"), at.ledgerBytes);
  ended.defer(() => ledger.close());
  if (at.ledgerChain === FIRST_CHAIN) {
    const images = { digest: data.digest, images: data.size };
    const head = ledgerHead({ data: images, config: bindingConfig(config) });
    ledger.write(head);
    at.ledgerChain = head.chain;
  }

  let saved = at.step;
  const save = async () => {
    await metrics.flush();
    at.ledgerBytes = await ledger.flush();
    at.corrupt = pool.corrupt();
    at.order.examplesSeen = at.step * config.batch;
    const saveState = (path: string) => student.call("save", { path });
    await writeCheckpoint(folder.checkpoints, at, saveState, config.checkpoint);
    saved = at.step;
  };

  const before = at.totalSteps ?? total;
  at.totalSteps = total;
  if (before !== total) {
    const { length } = bindingConfig(config) as { length: object };
    const change = { step: at.step, length, totalSteps: { from: before, to: total } };
    metrics.write(change);
    const line = ledgerChange(change, at.ledgerChain);
    ledger.write(line);
    at.ledgerChain = line.chain;
    progress.note(`after step ${at.step} the run's length changes from ${before} to ${total} steps`);
    await save();
  }

  let closing: Evaluated | undefined;
  const evaluateNow = async () => {
    const ended = at.step === total;
    const evaluated = await (ended
      ? evaluateAll(run, config, signal)
      : evaluateSplits(run, config.evaluate, signal));
    if (ended) closing = evaluated;
    for (const line of metricsLines(at.step, evaluated)) metrics.write(line);
    at.evaluatedStep = at.step;
    for (const said of spokenLines(at.step, evaluated)) progress.note(said);
    const better = betterBest(at.best, config.evaluate.best, at.step, evaluated.splits);
    if (!better) return;
    at.best = better;
    await save();
    await keepBest(folder.checkpoints, at.step);
    progress.note(
      `step ${at.step}  best ${better.metric} on ${better.split} so far: kept as checkpoints/best`,
    );
  };
  const evaluationIsDue = () =>
    at.step > at.evaluatedStep && isDue(at.step, config.evaluate.everySteps, total);

  let inStep = false; // while it is, nobody knows whether the student is before or after the step
  try {
    if (at.best && at.best.step === at.step) await keepBest(folder.checkpoints, at.step); // if that was interrupted
    if (evaluationIsDue()) await evaluateNow(); // interrupted in the last sitting
    const steps = { from: at.step + 1, to: total + 1, inFlight: config.inFlight };
    let wantedAt = performance.now();
    for await (const lesson of lessons({ ...steps, batchOf: pool.train, teach, signal })) {
      const { step, views } = lesson.batch;
      if (step === 1) {
        const fixedViews = teachers.map(({ fixedView }) => fixedView);
        const shown = await shownTeacherViews(pool, lesson.batch, fixedViews, SAMPLES);
        await writeSamples(folder.path, views, shown);
      }
      const multiplier = scheduleMultiplier(config.schedule, step - 1, total);
      const targets = targetsOf(lesson, classes);
      inStep = true;
      const result = await student.call("step", { images: views.data, targets, step, multiplier });
      checkFinite(result, step);
      pool.release(lesson.batch);

      const stepSeconds = (performance.now() - wantedAt) / 1000;
      const described = isDescribed(config, step, total) ? await student.call("describe", {}) : undefined;
      const replaced = replacedBy(lesson, at.teacherVersions);
      const line = ledgerLine(lesson, at.ledgerChain, described?.parametersSha256, replaced);
      ledger.write(line);
      at.teacherVersions = lesson.taught.map(({ version }) => version);
      at.step = step;
      inStep = false;
      at.ledgerChain = line.chain;
      at.verifiedSteps += isVerified(lesson) ? 1 : 0;
      at.trainingSeconds += stepSeconds;
      at.waitingSeconds += lesson.waitedSeconds;
      progress.step({
        step,
        total,
        loss: result.loss,
        images: config.batch,
        waitedSeconds: lesson.waitedSeconds,
      });
      if (step === 1 || isDue(step, config.log.everySteps, total))
        metrics.write(metricsLine(config, lesson, multiplier, result, stepSeconds));
      if (evaluationIsDue()) await evaluateNow();
      if (isDue(step, config.checkpoint.everySteps, total) && saved < step) await save();
      wantedAt = performance.now();
    }
  } catch (error) {
    if (at.step > saved && !inStep) await save();
    if (!signal.aborted) throw error;
    progress.note(`stopped after step ${at.step} of ${total}; the same command goes on from there`);
    return undefined;
  }
  await ended.disposeAsync();
  return await finishRun(folder, config, run, signal, closing);
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
    const chunk = spec.chunk ?? config.chunk ?? config.batch;
    return { teacher, chunk, fixedView: fixedViewOf(spec, config) };
  });
}

/** The versions that taught before, where a lesson is taught by others. */
function replacedBy({ taught }: Lesson, before: string[] = []): (string | undefined)[] {
  return taught.map(({ version }, i) => (before[i] === version ? undefined : before[i]));
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

function isDue(step: number, every: number, total: number): boolean {
  return step % every === 0 || step === total;
}

/** A number that is none has spoilt the parameters: the last checkpoint must stay the newest. */
function checkFinite(result: StepResult, step: number): void {
  for (const [name, value] of Object.entries(result))
    if (!Number.isFinite(value))
      throw new UserError(
        `${name} became ${value} at step ${step}: lower optimizer.learningRate in a new run`,
      );
}
