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

/** The rows of the images that could be decoded. */
export function withoutCorrupt(all: Rows, classes: number): Rows {
  if (!all.labels.includes(-1)) return all;
  const counts = (row: number) => all.labels[row] !== -1;
  const rowsOf = (logits: Float32Array) => logits.filter((_, i) => counts(Math.floor(i / classes)));
  return {
    student: rowsOf(all.student),
    teachers: all.teachers.map(rowsOf),
    labels: all.labels.filter((_, row) => counts(row)),
  };
}

/** The right labels of the images that could be decoded: those that a file gives, or the one that each has. */
export function answersOf({ answers }: Pick<Source, "answers">, labels: Int32Array): Answers {
  const decoded = [...labels.keys()].filter((i) => labels[i] !== -1);
  if (!answers) return { data: labels.filter((label) => label !== -1), each: 1 };
  const each = decoded.reduce((most, i) => Math.max(most, answers(i).length), 1);
  const data = new Int32Array(decoded.length * each).fill(-1);
  for (const [row, i] of decoded.entries()) data.set(answers(i), row * each);
  return { data, each, several: true };
}
