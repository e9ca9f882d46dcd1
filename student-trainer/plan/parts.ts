import type { TrainConfig } from "../config.ts";
import type { TrainBatch } from "../data/batch.ts";
import type { OpenRun } from "../learn/open-run.ts";
import { ahead } from "../teach/ahead.ts";
import { labelTargets } from "../teach/designs.ts";
import { teachOnline } from "../teach/online.ts";
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
  for await (const batch of ahead({ from: 0, to, inFlight: config.inFlight, start, signal })) {
    if (batches.length < KEPT) batches.push(batch);
    else pool.release(batch);
    if (clock.isOver()) break;
  }
  return { ...clock.pace(config.batch), batches };
}

/** What the teacher and the way to it do. */
export interface TeacherPace extends Pace {
  /** Images that were sent to find out. */
  sent: number;
  /** Seconds that the teacher computes for an image, by its own word; undefined if it says nothing. */
  computePerImage?: number;
  /** Seconds that a request of a chunk takes beside what the service says it had it. */
  linkSeconds?: number;
}

/** Sends batches as training does: first one after the other, which tells link and computing apart, then many at once. */
export async function tryTeacher(o: Try & { batches: TrainBatch[] }): Promise<TeacherPace | undefined> {
  const { run, config, batches, signal } = o;
  if (!run.teacher) return undefined;
  const { teacher, tally } = tallied(run.teacher);
  const teach = teachOnline(teacher);
  const ask = (i: number, cancelled: AbortSignal) => teach(batches[i % batches.length]!, cancelled);
  const to = Number.POSITIVE_INFINITY;
  const alone = startClock(o.seconds / 3);
  for await (const _ of ahead({ from: 0, to, inFlight: 1, start: ask, signal })) if (alone.isOver()) break;
  const { computePerImage, linkSeconds } = tally;
  const clock = startClock((o.seconds * 2) / 3);
  for await (const _ of ahead({ from: 0, to, inFlight: config.inFlight, start: ask, signal }))
    if (clock.isOver()) break;
  return { ...clock.pace(config.batch), sent: tally.images, computePerImage, linkSeconds };
}

/** Trains on the same few batches again and again. */
export async function tryStudent(o: Try & { batches: TrainBatch[] }): Promise<Pace> {
  const { run, config, batches, signal } = o;
  const clock = startClock(o.seconds);
  for (let step = 1; ; step++) {
    signal.throwIfAborted();
    const batch = batches[step % batches.length]!;
    const targets = labelTargets(batch, run.classes);
    await run.student.call("step", { images: batch.views.data, targets, step, multiplier: 0 });
    if (clock.isOver()) return clock.pace(config.batch);
  }
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
