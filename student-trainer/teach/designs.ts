import type { ViewKind } from "@funmatch/views";
import type { TrainBatch } from "../data/batch.ts";
import type { FixedView } from "../data/fixed-views.ts";

/**
 * Which views student and teacher get of an image, and where the targets come from: the designs of the paper
 * (arXiv 2106.05237, section 3.1), by its names. The function from image and seed to both views is `data/framings.ts`,
 * for the views of fixed teachers `data/fixed-views.ts`.
 */
export interface Design {
  /** The student's views: ic = inception crop, rc = resize and random crop, both with flip; rs = resized whole. */
  view: ViewKind;
  /** Whether batches are mixed (by as much as the run's `mixup` says). */
  mixup: boolean;
  teaching: Teaching;
}

/**
 * same: the teacher is asked for what the student sees; independent: for views of its own, drawn anew each time;
 * fixed: it was asked once for the named view of every training image; labels: there is no teacher.
 */
export type Teaching =
  | { kind: "same" }
  | { kind: "independent" }
  | { kind: "fixed"; view: FixedView["kind"] }
  | { kind: "labels" };

/** Every design that a run can have. */
export const DESIGNS = {
  "fix/rs": { view: "rs", mixup: false, teaching: { kind: "fixed", view: "rs" } },
  "fix/cc": { view: "rc", mixup: false, teaching: { kind: "fixed", view: "cc" } },
  "fix/ic_ens": { view: "ic", mixup: false, teaching: { kind: "fixed", view: "ic" } },
  "ind/rc": { view: "rc", mixup: false, teaching: { kind: "independent" } },
  "ind/ic": { view: "ic", mixup: false, teaching: { kind: "independent" } },
  "same/rc": { view: "rc", mixup: false, teaching: { kind: "same" } },
  "same/ic": { view: "ic", mixup: false, teaching: { kind: "same" } },
  funmatch: { view: "ic", mixup: true, teaching: { kind: "same" } },
  labels: { view: "ic", mixup: true, teaching: { kind: "labels" } },
} as const satisfies Record<string, Design>;

/** A design's name, as a config has it. */
export type DesignName = keyof typeof DESIGNS;

/**
 * Targets of design `labels`: probabilities [N,K], lambda (the batch's or each image's) for an image's own label and 1 - lambda for
 * that of its mixup partner, the previous image of the batch.
 */
export function labelTargets({ labels, lambda, lambdas }: TrainBatch, classes: number): Float32Array {
  const targets = new Float32Array(labels.length * classes);
  for (let i = 0; i < labels.length; i++) {
    const own = labels[i] as number;
    const share = lambdas?.[i] ?? lambda;
    const partner = labels.at(i - 1) as number;
    targets[i * classes + own] = share;
    targets[i * classes + partner] = (targets[i * classes + partner] as number) + (1 - share);
  }
  return targets;
}
