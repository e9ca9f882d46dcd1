import { labelTargets } from "../teach/designs.ts";
import type { Lesson } from "../teach/window.ts";
import { sideBySide } from "./several-teachers.ts";

/** What the student is pulled towards in a lesson: every teacher's logits side by side, or where labels teach those. */
export function targetsOf(
  { batch, taught }: Pick<Lesson, "batch" | "taught">,
  classes: number,
): Float32Array {
  if (taught.length === 0) return labelTargets(batch, classes);
  return sideBySide(
    taught.map(({ logits }) => logits),
    classes,
  );
}
