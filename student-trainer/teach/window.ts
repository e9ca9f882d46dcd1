import type { TrainBatch } from "../data/batch.ts";
import { ahead } from "./ahead.ts";
import type { WindowSize } from "./window-size.ts";

/** What one teacher says of one batch. */
export interface Taught {
  /** [N,K] */
  logits: Float32Array;
  version: string;
  /** True when the teacher answered online, under the digest of the very bytes that this batch has for it. */
  verified: boolean;
}

/** A batch ready to be learned from: every check has passed. */
export interface Lesson {
  batch: TrainBatch;
  /** What each teacher says, in the order of the config; nothing where labels teach. */
  taught: Taught[];
  /** How long the student stood idle for the teacher alone, the making of views not counted. */
  waitedSeconds: number;
}

/** Whether every teacher answered online, under the digest of the very bytes that the batch has for it. */
export function isVerified({ taught }: Pick<Lesson, "taught">): boolean {
  return taught.length > 0 && taught.every(({ verified }) => verified);
}

/**
 * The lessons of steps `from` (included) to `to` (not included), strictly in step order, while the
 * views of `inFlight` further steps are made and their teacher is asked.
 *
 * A step whose answer fails throws when its turn comes, before it is yielded, and ends all later ones.
 *
 * @example
 * for await (const lesson of lessons({ from: 0, to: 100, inFlight: 8, batchOf: pool.train, teach })) step(lesson);
 */
export async function* lessons(o: {
  from: number;
  to: number;
  inFlight: number | WindowSize;
  batchOf: (step: number) => Promise<TrainBatch>;
  /** Absent where labels teach. */
  teach?: (batch: TrainBatch, signal: AbortSignal) => Promise<Taught[]>;
  signal?: AbortSignal;
}): AsyncGenerator<Lesson> {
  const start = async (step: number, signal: AbortSignal) => {
    const startedAt = performance.now();
    const batch = await o.batchOf(step);
    const madeAt = performance.now();
    signal.throwIfAborted();
    const taught = await o.teach?.(batch, signal);
    return { batch, taught, startedAt, madeAt, taughtAt: performance.now() };
  };
  const { from, to, signal } = o;
  const size = typeof o.inFlight === "number" ? undefined : o.inFlight;
  const inFlight = typeof o.inFlight === "number" ? o.inFlight : o.inFlight.now;
  let wantedAt = performance.now();
  for await (const started of ahead({ from, to, inFlight, start, signal })) {
    const { batch, taught, startedAt, madeAt, taughtAt } = started;
    const waited = taught ? Math.max(0, taughtAt - Math.max(wantedAt, madeAt)) : 0;
    const handedAt = performance.now();
    yield { batch, taught: taught ?? [], waitedSeconds: waited / 1000 };
    wantedAt = performance.now();
    const [way, student] = [taughtAt - startedAt, wantedAt - handedAt];
    size?.saw({ waySeconds: way / 1000, studentSeconds: student / 1000 });
  }
}
