import type { TrainBatch } from "../data/batch.ts";
import type { FixedView } from "../data/fixed-views.ts";
import type { ViewPool } from "../data/pool.ts";
import type { Teacher } from "./client.ts";
import { fixedLogits, teachFixed } from "./fixed.ts";
import { follow } from "./follower.ts";
import { teachOnline } from "./online.ts";
import type { Taught } from "./window.ts";

/** How a batch gets its logits: those of each teacher, in the order of the config. */
export type Teach = (batch: TrainBatch, signal: AbortSignal) => Promise<Taught[]>;

/** A teacher, and how a run asks it. */
export interface Lecturer {
  teacher: Teacher;
  /** Images a request, at most. */
  chunk: number;
  /** What it is asked for once, where it is a fixed one. */
  fixedView?: FixedView;
}

/**
 * Makes what a design teaches with; for fixed teaching this asks each teacher for every training image first.
 * Undefined where labels teach: their targets are `labelTargets`.
 *
 * @throws TeacherError when a fixed answer fails a check
 */
export async function openTeaching(o: {
  /** None where labels teach. */
  teachers: Lecturer[];
  data: { digest: string; size: number };
  pool: Pick<ViewPool, "fixed" | "release">;
  inFlight: number;
  /** Where the answers of fixed teachers are kept. */
  directory: string;
  onProgress?: (url: string, done: number, of: number) => void;
  signal?: AbortSignal;
}): Promise<Teach | undefined> {
  if (o.teachers.length === 0) return undefined;
  const each: ((batch: TrainBatch, signal: AbortSignal) => Promise<Taught>)[] = [];
  for (const [i, { teacher, chunk, fixedView: view }] of o.teachers.entries()) {
    if (!view) {
      each.push(teachOnline(teacher, i));
      continue;
    }
    const viewsOf = (start: number, count: number) => o.pool.fixed(view, start, count);
    const onProgress = (done: number, of: number) => o.onProgress?.(teacher.url, done, of);
    const { release } = o.pool;
    const logits = await fixedLogits({ ...o, teacher, chunk, viewsOf, release, view, onProgress });
    each.push(teachFixed(logits, teacher.card.classes, teacher.card.version));
  }
  return (batch, signal) => askAll(each, batch, signal);
}

/** Asks all teachers at once; the first failure ends the other requests. */
export async function askAll(
  each: ((batch: TrainBatch, signal: AbortSignal) => Promise<Taught>)[],
  batch: TrainBatch,
  signal: AbortSignal,
): Promise<Taught[]> {
  using follower = follow(signal);
  try {
    return await Promise.all(each.map((teach) => teach(batch, follower.signal)));
  } finally {
    follower.abort();
  }
}
