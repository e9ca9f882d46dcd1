import type { Source } from "../data/source.ts";
import type { Answers } from "./figures.ts";

/** What was found of the images of a split, in data order. */
export interface Rows {
  /** Logits [N,K] */
  student: Float32Array;
  /** Logits [N,K] of each teacher. */
  teachers: Float32Array[];
  /** [N], -1 for a corrupt image. */
  labels: Int32Array;
}

/** The rows of the images that could be decoded, and these images' numbers. */
export function withoutCorrupt(all: Rows, classes: number): Rows & { images: Int32Array } {
  const images = Int32Array.from(all.labels.keys()).filter((image) => all.labels[image] !== -1);
  if (images.length === all.labels.length) return { ...all, images };
  const counts = (row: number) => all.labels[row] !== -1;
  const rowsOf = (logits: Float32Array) => logits.filter((_, i) => counts(Math.floor(i / classes)));
  return {
    student: rowsOf(all.student),
    teachers: all.teachers.map(rowsOf),
    labels: all.labels.filter((_, row) => counts(row)),
    images,
  };
}

/** The right labels of images: those that a file gives, or the one that each has. */
export function answersOf(
  { answers }: Pick<Source, "answers">,
  images: Int32Array,
  labels: Int32Array,
): Answers {
  if (!answers) return { data: labels, each: 1 };
  const each = images.reduce((most, image) => Math.max(most, answers(image).length), 1);
  const data = new Int32Array(images.length * each).fill(-1);
  for (const [row, image] of images.entries()) data.set(answers(image), row * each);
  return { data, each, several: true };
}
