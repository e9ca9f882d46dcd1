import type { TrainConfig } from "../config.ts";
import type { TeacherViews, TrainBatch, Views } from "../data/batch.ts";
import type { FixedView } from "../data/fixed-views.ts";
import type { ViewPool } from "../data/pool.ts";
import { DESIGNS, type Design } from "../teach/designs.ts";

/** A teacher of a config. */
type Spec = TrainConfig["teachers"][number];

/** Side of the views that a teacher is asked for. */
export function teacherResolution({ resolution }: Spec, { student }: TrainConfig): number {
  return resolution ?? student.resolution;
}

/** Images in one request to a teacher, at most. */
export function chunkOf({ chunk }: Spec, config: TrainConfig): number {
  return chunk ?? config.chunk ?? config.batch;
}

/** What each teacher sees in training and evaluation, and in which requests. */
export function teacherViewsOf(config: TrainConfig): TeacherViews[] {
  const training = ({ same: "same", independent: "independent", fixed: "none", labels: "none" } as const)[
    designOf(config).teaching.kind
  ];
  return config.teachers.map((spec) => ({
    resolution: teacherResolution(spec, config),
    training,
    chunk: spec.chunk,
  }));
}

/** What a fixed teacher is asked for, once, of every training image; undefined for the other designs. */
export function fixedViewOf(spec: Spec, config: TrainConfig): FixedView | undefined {
  const { teaching } = designOf(config);
  if (teaching.kind !== "fixed") return undefined;
  const resolution = teacherResolution(spec, config);
  const { seed, crop, ensemble = 1, evaluate, student } = config;
  const centralSide = evaluate.resize && Math.round((evaluate.resize * resolution) / student.resolution);
  return { kind: teaching.view, ensemble, resolution, seed, crop, centralSide };
}

function designOf(config: TrainConfig): Design {
  return DESIGNS[config.design];
}

/**
 * What the teacher saw of the first images of a batch, for the report; of an ensemble of views, the first. Of several
 * teachers, the first whose views are not the student's; undefined where there is none.
 */
export async function shownTeacherViews(
  pool: Pick<ViewPool, "fixed" | "release">,
  { indices, views, questions }: TrainBatch,
  fixedViews: (FixedView | undefined)[],
  most: number,
): Promise<Views | undefined> {
  const fixed = fixedViews.find(
    (view) => view && !(view.kind === "rs" && view.resolution === views.shape[1]),
  );
  if (!fixed) return questions.find((question) => question.views !== views)?.views;
  const { resolution, ensemble } = fixed;
  const shown = [...indices.subarray(0, most)];
  const bytes = resolution * resolution * 3;
  const data = new Uint8Array(shown.length * bytes);
  for (const [place, index] of shown.entries()) {
    const batch = await pool.fixed(fixed, index * ensemble, 1);
    data.set(batch.views.data, place * bytes);
    pool.release(batch);
  }
  return { shape: [shown.length, resolution, resolution, 3], data, digest: "" };
}
