import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TrainConfig } from "../config.ts";
import { FIRST_CHAIN, ledgerLine } from "../learn/ledger.ts";
import { type OpenRun, windowOf } from "../learn/open-run.ts";
import { targetsOf } from "../learn/targets.ts";
import type { Teach } from "../teach/teaching.ts";
import { type Lesson, lessons } from "../teach/window.ts";

/** How fast a run went when it was tried: its own next steps, with its own views and its own teacher. */
export interface Rehearsal {
  /** Steps that were timed. */
  steps: number;
  stepSeconds: number;
  /** Images that the teacher was sent for it. */
  askedImages: number;
  /** What one checkpoint takes. */
  save: { seconds: number; bytes: number };
  /** Bytes that a step adds to the ledger, after the first epoch. */
  ledgerLine: number;
}

/**
 * Trains for about `seconds` as the run would and then puts the student back to where it was: nothing of it is
 * recorded or kept. What the window held before the clock starts is not timed.
 */
export async function rehearse(o: {
  run: Pick<OpenRun, "at" | "classes" | "pool" | "student">;
  config: TrainConfig;
  teach: Teach | undefined;
  seconds: number;
  signal: AbortSignal;
}): Promise<Rehearsal> {
  const { run, config, seconds, signal } = o;
  const { pool, student, classes } = run;
  const inFlight = windowOf(config);
  const folder = await mkdtemp(join(tmpdir(), "funmatch-rehearsal-"));
  const path = join(folder, "state.npz");
  try {
    let began = performance.now();
    await student.call("save", { path });
    const save = { seconds: (performance.now() - began) / 1000, bytes: (await stat(path)).size };
    let askedImages = 0;
    const teach: Teach | undefined =
      o.teach &&
      (async (batch, cancelled) => {
        askedImages += batch.questions.length * config.batch;
        return o.teach!(batch, cancelled);
      });
    const timed: number[] = [];
    const from = run.at.step + 1;
    began = performance.now();
    let until = began + seconds * 1000;
    let last = began;
    let line = 0;
    for await (const lesson of lessons({
      ...{ from, to: Number.POSITIVE_INFINITY, inFlight, batchOf: pool.train, teach, signal },
    })) {
      const { batch } = lesson;
      const targets = targetsOf(lesson, classes);
      await student.call("step", { images: batch.views.data, targets, step: batch.step, multiplier: 0 });
      if (line === 0) line = lengthOf(lesson);
      pool.release(batch);
      const now = performance.now();
      const done = batch.step - from + 1;
      const isWarmUp = done === 1 || (done <= inFlight.now() && now < until);
      if (isWarmUp) until = now + seconds * 1000;
      else {
        timed.push((now - last) / 1000);
        if (now >= until && timed.length > 1) break;
      }
      last = now;
    }
    await student.call("load", { path });
    const seen = { stepSeconds: mean(timed), ledgerLine: line };
    return { ...seen, steps: timed.length, askedImages, save };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function lengthOf(lesson: Lesson): number {
  const batch = { ...lesson.batch, pictures: undefined };
  return JSON.stringify(ledgerLine({ ...lesson, batch }, FIRST_CHAIN)).length + 1;
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
