import type { TrainConfig } from "../config.ts";
import type { TeacherViews, TrainBatch, Views } from "../data/batch.ts";
import type { FixedView } from "../data/fixed-views.ts";
import type { ViewPool } from "../data/pool.ts";
import { DESIGNS, type Design } from "../teach/designs.ts";

/** Side of the views that the teacher is asked for. */
export function teacherResolution({ teachers, student }: TrainConfig): number {
  return teachers[0]?.resolution ?? student.resolution;
}

/** The teacher's own views, of training and evaluation; undefined where it is always asked for the student's. */
export function teacherViewsOf(config: TrainConfig): TeacherViews | undefined {
  const { teaching }: Design = DESIGNS[config.design];
  const resolution = teacherResolution(config);
  const rescaled = resolution !== config.student.resolution;
  if (teaching.kind === "independent") return { resolution, training: "independent" };
  if (teaching.kind === "labels" || !rescaled) return undefined;
  return { resolution, training: teaching.kind === "fixed" ? "none" : "same" };
}

/** What a fixed teacher is asked for, once, of every training image; undefined for the other designs. */
export function fixedViewOf(config: TrainConfig): FixedView | undefined {
  const { teaching }: Design = DESIGNS[config.design];
  if (teaching.kind !== "fixed") return undefined;
  const resolution = teacherResolution(config);
  const { seed, crop, ensemble = 1, evaluate, student } = config;
  const centralSide = evaluate.resize && Math.round((evaluate.resize * resolution) / student.resolution);
  return { kind: teaching.view, ensemble, resolution, seed, crop, centralSide };
}

/**
 * What the teacher saw of the first images of a batch, for the report; of an ensemble, its first view. Undefined where
 * that is what the student sees.
 */
export async function shownTeacherViews(
  pool: Pick<ViewPool, "fixed" | "release">,
  { indices, views, teacherViews }: TrainBatch,
  fixedView: FixedView | undefined,
  most: number,
): Promise<Views | undefined> {
  if (!fixedView) return teacherViews;
  const { resolution, ensemble, kind } = fixedView;
  if (kind === "rs" && resolution === views.shape[1]) return undefined;
  const shown = [...indices.subarray(0, most)];
  const bytes = resolution * resolution * 3;
  const data = new Uint8Array(shown.length * bytes);
  for (const [place, index] of shown.entries()) {
    const batch = await pool.fixed(fixedView, index * ensemble, 1);
    data.set(batch.views.data, place * bytes);
    pool.release(batch);
  }
  return { shape: [shown.length, resolution, resolution, 3], data, digest: "" };
}
