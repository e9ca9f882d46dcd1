import type { TrainBatch } from "../data/batch.ts";

/**
 * Which views student and teacher get of an image, and where the targets come from; the names are the
 * paper's (arXiv 2106.05237, figure 2).
 */
export interface Design {
  name: string;
  /** The student's views: ic = inception crop, rc = resize and random crop, both with flip. */
  view: "ic" | "rc";
  /** Whether batches are mixed (by as much as the run's `mixup` says). */
  mixup: boolean;
  /**
   * online: the teacher is asked for exactly the student's bytes; fixed: it was asked once for the central view
   * of every training image; labels: there is no teacher.
   */
  teaching: "online" | "fixed" | "labels";
}

/** Every design that a run can have. */
export const DESIGNS = {
  funmatch: { name: "funmatch", view: "ic", mixup: true, teaching: "online" },
  "fix/cc": { name: "fix/cc", view: "rc", mixup: false, teaching: "fixed" },
  labels: { name: "labels", view: "ic", mixup: true, teaching: "labels" },
} as const satisfies Record<string, Design>;

/**
 * Targets of design `labels`: probabilities [N,K], lambda for an image's own label and 1 - lambda for
 * that of its mixup partner, the previous image of the batch.
 */
export function labelTargets({ labels, lambda }: TrainBatch, classes: number): Float32Array {
  const targets = new Float32Array(labels.length * classes);
  for (let i = 0; i < labels.length; i++) {
    const own = labels[i] as number;
    const partner = labels.at(i - 1) as number;
    targets[i * classes + own] = lambda;
    targets[i * classes + partner] = (targets[i * classes + partner] as number) + (1 - lambda);
  }
  return targets;
}
