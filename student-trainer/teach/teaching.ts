import type { TrainBatch } from "../data/batch.ts";
import type { ViewPool } from "../data/pool.ts";
import type { Teacher } from "./client.ts";
import type { Design } from "./designs.ts";
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
  design: Design;
  /** Absent where labels teach. */
  teacher?: Teacher;
  data: { digest: string; size: number };
  pool: Pick<ViewPool, "evaluation" | "release">;
  resolution: number;
  /** Shorter side that central views are cut from, if not the paper's. */
  centralSide?: number;
  chunk: number;
  inFlight: number;
  /** Where the answers of a fixed teacher are kept. */
  directory: string;
  onProgress?: (done: number, of: number) => void;
  signal?: AbortSignal;
}): Promise<Teach | undefined> {
  const { design, teacher } = o;
  if (!teacher) return undefined;
  switch (design.teaching) {
    case "labels":
      return undefined;
    case "online":
      return teachOnline(teacher);
    case "fixed": {
      const viewsOf = (start: number, count: number) => o.pool.evaluation("train", start, count);
      const logits = await fixedLogits({
        ...o,
        teacher,
        viewsOf,
        release: o.pool.release,
        view: `central-${o.centralSide ?? "paper"}-${o.resolution}`,
      });
      return teachFixed(logits, teacher.card.classes, teacher.card.version);
    }
    default:
      return design.teaching satisfies never;
  }
}
