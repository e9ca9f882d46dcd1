import { createHash } from "node:crypto";
import type { Chunk, Recipe, TeacherViews, Views } from "./batch.ts";

/**
 * A batch's memory: the student's views, then those that teachers get beside them, each resolution once. Teachers that
 * see the same are asked for the same bytes.
 */
export interface Layer {
  resolution: number;
  /** Where views are written. */
  plain: Uint8Array;
  /** What they become once mixed; the same bytes where nothing is mixed. */
  data: Uint8Array;
}

const CHANNELS = 3;

/** How many bytes `count` views of a resolution take. */
export function bytesOf(count: number, resolution: number): number {
  return count * resolution * resolution * CHANNELS;
}

/** The teachers of a recipe: without a word about them, one that sees what the student sees. */
export function teachersOf({
  teachers,
  resolution,
}: Pick<Recipe, "teachers" | "resolution">): TeacherViews[] {
  return teachers ?? [{ resolution, training: "same" }];
}

/** Resolutions of training views that are not the student's. */
export function trainingSides(recipe: Pick<Recipe, "teachers" | "resolution">): number[] {
  return sidesOf(
    teachersOf(recipe).filter(
      ({ training, resolution }) =>
        training === "independent" || (training === "same" && resolution !== recipe.resolution),
    ),
  );
}

/** Resolutions of evaluation views that are not the student's. */
export function evaluationSides(recipe: Pick<Recipe, "teachers" | "resolution">): number[] {
  return sidesOf(teachersOf(recipe).filter(({ resolution }) => resolution !== recipe.resolution));
}

function sidesOf(teachers: TeacherViews[]): number[] {
  return [...new Set(teachers.map(({ resolution }) => resolution))];
}

/** How many bytes a training batch takes. */
export function bytesOfBatch(recipe: Pick<Recipe, "teachers" | "resolution" | "batch">): number {
  return total(recipe.batch, [recipe.resolution, ...trainingSides(recipe)]);
}

/** How many bytes `count` evaluation views take. */
export function bytesOfEvaluation(count: number, recipe: Pick<Recipe, "teachers" | "resolution">): number {
  return total(count, [recipe.resolution, ...evaluationSides(recipe)]);
}

function total(count: number, sides: number[]): number {
  return sides.reduce((sum, side) => sum + bytesOf(count, side), 0);
}

/**
 * Lays views of `count` images out in `memory`, one layer for each resolution.
 *
 * @param elsewhere where so many bytes are written that are then mixed into `memory`; absent: nothing is mixed
 */
export function layersIn(
  memory: SharedArrayBuffer,
  count: number,
  sides: number[],
  elsewhere?: (bytes: number) => Uint8Array,
): { first: Layer; others: Layer[] } {
  let offset = 0;
  const [first, ...others] = sides.map((resolution): Layer => {
    const data = new Uint8Array(memory, offset, bytesOf(count, resolution));
    offset += data.length;
    return { resolution, data, plain: elsewhere?.(data.length) ?? data };
  });
  return { first: first!, others };
}

/** Bytes as views, with their digest. */
export function viewsOf(data: Uint8Array, count: number, resolution: number): Views {
  return { shape: [count, resolution, resolution, CHANNELS], data, digest: digestOf(data) };
}

/** The views of each teacher: those of its resolution among the others', or else the student's. */
export function eachTeachersViews(
  recipe: Pick<Recipe, "teachers" | "resolution">,
  student: Views,
  others: Views[],
): Views[] {
  return teachersOf(recipe).map(
    ({ resolution }) => others.find(({ shape }) => shape[1] === resolution) ?? student,
  );
}

/** Cuts views between images into requests of at most `most`. */
export function chunksOf({ data, shape: [images], digest }: Views, most: number): Chunk[] {
  const imageBytes = data.length / images;
  return Array.from({ length: Math.ceil(images / most) }, (_, i) => {
    const start = i * most;
    const count = Math.min(most, images - start);
    if (count === images) return { start, count, digest };
    return {
      start,
      count,
      digest: digestOf(data.subarray(start * imageBytes, (start + count) * imageBytes)),
    };
  });
}

/** "sha256:<hex>" of bytes. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
