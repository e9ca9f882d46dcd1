import type { TrainBatch } from "../data/batch.ts";
import type { FixedView } from "../data/fixed-views.ts";
import type { ViewPool } from "../data/pool.ts";
import type { Teacher } from "./client.ts";
import { fixedLogits, teachFixed } from "./fixed.ts";
import { teachOnline } from "./online.ts";
import type { Taught } from "./window.ts";

/** How a batch gets its logits. */
export type Teach = (batch: TrainBatch, signal: AbortSignal) => Promise<Taught>;

/**
 * Makes what a design teaches with; for fixed teaching this asks for every training image first.
 * Undefined where labels teach: their targets are `labelTargets`.
 *
 * @throws TeacherError when a fixed answer fails a check
 */
export async function openTeaching(o: {
  /** Absent where labels teach. */
  teacher?: Teacher;
  data: { digest: string; size: number };
  pool: Pick<ViewPool, "fixed" | "release">;
  /** What a fixed teacher is asked for. */
  fixedView?: FixedView;
  chunk: number;
  inFlight: number;
  /** Where the answers of a fixed teacher are kept. */
  directory: string;
  onProgress?: (done: number, of: number) => void;
  signal?: AbortSignal;
}): Promise<Teach | undefined> {
  const { teacher, fixedView: view } = o;
  if (!teacher) return undefined;
  if (!view) return teachOnline(teacher);
  const viewsOf = (start: number, count: number) => o.pool.fixed(view, start, count);
  const { release } = o.pool;
  const logits = await fixedLogits({ ...o, teacher, viewsOf, release, view });
  return teachFixed(logits, teacher.card.classes, teacher.card.version);
}
