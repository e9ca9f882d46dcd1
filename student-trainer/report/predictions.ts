import { join } from "node:path";
import { type NpyArray, writeNpz } from "@funmatch/models";
import type { Evaluation } from "./evaluate.ts";

/**
 * Writes `predictions-<split>.npz`: `student` [N,K] and `teacher` [N,K] float32 logits, `labels` [N] int32, in
 * data order. A run without a teacher has no `teacher`; with several, `teacher` is their ensemble (logarithms of the
 * mean probabilities), and `teacher_0`, `teacher_1`, … are their own.
 */
export async function writePredictions(
  run: string,
  split: string,
  {
    student,
    teacher,
    teachers = [],
    labels,
  }: Pick<Evaluation, "student" | "teacher" | "teachers" | "labels">,
): Promise<void> {
  const shape = [labels.length, student.length / labels.length];
  const arrays: Record<string, NpyArray> = { student: { dtype: "float32", shape, data: student } };
  if (teacher) arrays.teacher = { dtype: "float32", shape, data: teacher };
  for (const [t, { logits }] of teachers.entries())
    arrays[`teacher_${t}`] = { dtype: "float32", shape, data: logits };
  arrays.labels = { dtype: "int32", shape: [labels.length], data: labels };
  await writeNpz(join(run, `predictions-${split}.npz`), arrays);
}
