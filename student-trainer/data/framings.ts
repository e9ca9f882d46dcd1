import { drawFraming, draws, type Framing } from "@funmatch/views";
import type { Recipe } from "./batch.ts";

/**
 * How student and teacher see one image in one epoch: the student's draws are the stream ("view", epoch, index), and
 * the teachers see the same unless their views are independent; then their draws are ("teacher view", epoch, index),
 * the same for all of them.
 */
export function framingsOf(
  { seed, view, resolution, crop, teachers }: Recipe,
  picture: { height: number; width: number },
  epoch: number,
  index: number,
): { student: Framing; teacher: Framing } {
  const student = drawFraming(view, picture, draws(seed, "view", epoch, index), resolution, crop);
  const teacher = teachers?.[0];
  if (teacher?.training !== "independent") return { student, teacher: student };
  const stream = draws(seed, "teacher view", epoch, index);
  return { student, teacher: drawFraming(view, picture, stream, teacher.resolution, crop) };
}
