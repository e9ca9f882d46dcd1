import { join } from "node:path";
import { type NpyArray, writeNpz } from "@funmatch/models";
import type { Evaluation } from "./evaluate.ts";

/**
 * Writes `predictions-<split>.npz`: `student` [N,K] and `teacher` [N,K] float32 logits, `labels` [N] int32, in
 * data order. A run without a teacher has no `teacher`.
 */
export async function writePredictions(
  run: string,
  split: string,
  { student, teacher, labels }: Pick<Evaluation, "student" | "teacher" | "labels">,
): Promise<void> {
  const shape = [labels.length, student.length / labels.length];
  const arrays: Record<string, NpyArray> = { student: { dtype: "float32", shape, data: student } };
  if (teacher) arrays.teacher = { dtype: "float32", shape, data: teacher };
  arrays.labels = { dtype: "int32", shape: [labels.length], data: labels };
  await writeNpz(join(run, `predictions-${split}.npz`), arrays);
}
