import { join } from "node:path";
import { type NpyArray, writeNpz } from "@funmatch/models";
import type { Evaluation } from "./evaluate.ts";

/**
 * Writes `predictions-<split>.npz`, in data order: `student` [N,K] and `teacher` [N,K] float32 logits, `labels` [N]
 * int32. With several teachers `teacher` is their ensemble (logarithms of the mean probabilities), and `teacher_0`,
 * `teacher_1`, … are their own.
 * Where a file gives several right labels, they are `answers` [N,M] int32, filled up with -1. A run without a teacher
 * has no `teacher`.
 */
export async function writePredictions(
  folder: string,
  split: string,
  {
    student,
    teacher,
    teachers,
    labels,
    answers,
  }: Pick<Evaluation, "student" | "teacher" | "teachers" | "labels" | "answers">,
): Promise<void> {
  const shape = [labels.length, student.length / labels.length];
  const logits = (data: Float32Array): NpyArray => ({ dtype: "float32", shape, data });
  const arrays: Record<string, NpyArray> = { student: logits(student) };
  if (teacher) arrays.teacher = logits(teacher.logits);
  if (teachers.length > 1)
    for (const [nth, one] of teachers.entries()) arrays[`teacher_${nth}`] = logits(one.logits);
  arrays.labels = { dtype: "int32", shape: [labels.length], data: labels };
  if (answers.several)
    arrays.answers = { dtype: "int32", shape: [labels.length, answers.each], data: answers.data };
  await writeNpz(join(folder, `predictions-${split}.npz`), arrays);
}
