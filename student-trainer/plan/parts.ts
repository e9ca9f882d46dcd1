import { randomUUID } from "node:crypto";
import type { TrainConfig } from "../config.ts";
import type { Question, TrainBatch } from "../data/batch.ts";
import type { OpenRun } from "../learn/open-run.ts";
import { targetsOf } from "../learn/targets.ts";
import { chunkOf, fixedViewOf } from "../learn/teacher-views.ts";
import { ahead } from "../teach/ahead.ts";
import { askPieces } from "../teach/chunks.ts";
import type { Taught } from "../teach/window.ts";
import { LEAST, underWay } from "../teach/window-size.ts";
import { nameOfTeacher } from "../teachers.ts";
import { tallied } from "./tally.ts";

/** How a part of a run does by itself, with nothing beside it. */
export interface Pace {
  images: number;
  seconds: number;
}

interface Try {
  run: OpenRun;
  config: TrainConfig;
  seconds: number;
  signal: AbortSignal;
}

/** Batches that stay, for the teacher and the student to be tried on. */
const KEPT = 4;

/** Makes the run's next batches, as many at once as in training; answers some of them too. */
export async function tryViews({
  run,
  config,
  seconds,
  signal,
}: Try): Promise<Pace & { batches: TrainBatch[] }> {
  const { pool, at } = run;
  const start = (i: number) => pool.train(at.step + 1 + i);
  const batches: TrainBatch[] = [];
  const clock = startClock(seconds);
  const to = Number.POSITIVE_INFINITY;
  for await (const batch of ahead({ from: 0, to, inFlight: config.inFlight ?? LEAST, start, signal })) {
    if (batches.length < KEPT) batches.push(batch);
    else pool.release(batch);
    if (clock.isOver()) break;
  }
  return { ...clock.pace(config.batch), batches };
}

/** What a teacher and the way to it do. */
export interface TeacherPace extends Pace {
  name: string;
  /** Whether it computes in this process: nothing is sent. */
  inProcess: boolean;
  /** Images that it was asked about to find out. */
  asked: number;
  /** Seconds that the teacher computes for an image, by its own word; undefined if it says nothing. */
  computePerImage?: number;
  /** Seconds that a request takes beside what the service says it had it. */
  linkSeconds?: number;
}

/**
 * Asks each teacher about the batches as training does: first one after the other, which tells link and computing
 * apart, then many at once. A fixed teacher is asked about the views that it gets before training.
 */
export async function tryTeachers(o: Try & { batches: TrainBatch[] }): Promise<TeacherPace[]> {
  const paces: TeacherPace[] = [];
  for (const which of o.run.teachers.keys()) paces.push(await tryTeacher(which, o));
  return paces;
}

async function tryTeacher(which: number, o: Try & { batches: TrainBatch[] }): Promise<TeacherPace> {
  const { run, config, signal } = o;
  const seconds = o.seconds / run.teachers.length;
  const spec = config.teachers[which]!;
  const { teacher, tally } = tallied(run.teachers[which]!);
  const questions = await questionsFor(which, o);
  const images = questions[0]!.views.shape[0];
  const session = randomUUID();
  let next = 0;
  /** Asks again and again until the time is over. What was asked is waited for: it has to be paid. */
  const askUntil = async (clock: ReturnType<typeof startClock>) => {
    do {
      const { views, chunks } = questions[next % questions.length]!;
      const requestId = `${session}-plan-${next++}`;
      await askPieces(teacher.ask, views, chunks, { purpose: "train", requestId, signal });
    } while (!clock.isOver());
  };
  const alone = startClock(seconds / 3);
  await askUntil(alone);
  const { computePerImage, linkSeconds } = tally;
  const clock = startClock((seconds * 2) / 3);
  const atOnce = config.inFlight ?? askedAtOnce(alone.pace(images), computePerImage, questions[0]!);
  await Promise.all(Array.from({ length: atOnce }, () => askUntil(clock)));
  const known = { name: nameOfTeacher(spec), inProcess: "file" in spec, asked: tally.images };
  return { ...clock.pace(images), ...known, computePerImage, linkSeconds };
}

/** As many as keep the teacher busy however long the way is, as a run's window does. */
function askedAtOnce(alone: Pace, computePerImage: number | undefined, { views }: Question): number {
  if (computePerImage === undefined) return LEAST;
  const usualSeconds = computePerImage * views.shape[0];
  const waySeconds = (alone.seconds / alone.images) * views.shape[0];
  return underWay({ waySeconds, usualSeconds, batchBytes: views.data.length });
}

async function questionsFor(
  which: number,
  { run, config, batches }: Try & { batches: TrainBatch[] },
): Promise<Question[]> {
  const spec = config.teachers[which]!;
  const view = fixedViewOf(spec, config);
  if (!view) return batches.map(({ questions }) => questions[which]!);
  const { views } = await run.pool.fixed(
    view,
    0,
    Math.min(chunkOf(spec, config), run.data.size * view.ensemble),
  );
  return [{ views, chunks: [{ start: 0, count: views.shape[0], digest: views.digest }] }];
}

/** Trains on the same few batches again and again. */
export async function tryStudent(o: Try & { batches: TrainBatch[] }): Promise<Pace> {
  const { run, config, batches, signal } = o;
  const clock = startClock(o.seconds);
  for (let step = 1; ; step++) {
    signal.throwIfAborted();
    const batch = batches[step % batches.length]!;
    const targets = targetsOf({ batch, taught: silence(run, batch.indices.length) }, run.classes);
    await run.student.call("step", { images: batch.views.data, targets, step, multiplier: 0 });
    if (clock.isOver()) return clock.pace(config.batch);
  }
}

/** What teachers would say if they said nothing: logits of zero. */
export function silence(
  { teachers, classes }: Pick<OpenRun, "teachers" | "classes">,
  images: number,
): Taught[] {
  return teachers.map(({ card: { version } }) => ({
    ...{ logits: new Float32Array(images * classes), version, verified: false },
  }));
}

/** Counts rounds until the seconds are over; the first one or two warm up and are not timed. */
function startClock(seconds: number) {
  let began = performance.now();
  let rounds = -1;
  let ended = began;
  return {
    /** To be asked after each round. */
    isOver(): boolean {
      rounds++;
      ended = performance.now();
      if (rounds === 0) began = ended;
      return rounds > 0 && ended - began > seconds * 1000;
    },
    pace: (batch: number): Pace => ({ images: rounds * batch, seconds: (ended - began) / 1000 }),
  };
}
