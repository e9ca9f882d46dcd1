import type { Purpose } from "@funmatch/wire";
import { openFairShare, type Sharing, type Slice } from "./fair-share.ts";

/** What the queue must know of something that waits. */
export interface Waiting extends Sharing {
  readonly purpose: Purpose;
}

/** Who is next: training before evaluation, and within each the teams by their shares. */
export interface Queue<T extends Waiting> {
  add(item: T): void;
  /** Takes out what is still waiting of somebody who gave up; false when nothing of it was. */
  remove(item: T): boolean;
  /**
   * Takes up to `count` images. Of an item that does not fit the rest keeps its place, so that a large request is
   * spread over several passes.
   */
  take(count: number): Slice<T>[];
  /** Images that will have been taken once a part (0 to 1) of a team's requests, whole ones, is; 0 when it has none. */
  until(team: string, part: number): number;
  readonly requests: number;
  readonly images: number;
}

/** Of the images taken while both wait, evaluation gets one in ten: it is behind, but never for ever. */
const EVAL_SHARE = 0.1;

/**
 * @param weightOf a team's share in relation to the others'
 * @param burst images that a team may have at once after a pause: those of a pass
 * @example const queue = openQueue<Job>({ weightOf: () => 1, burst: 64 }); queue.add(job); queue.take(64);
 */
export function openQueue<T extends Waiting>(o: {
  weightOf: (team: string) => number;
  burst: number;
}): Queue<T> {
  const shares = { ...o, quantum: Math.ceil(o.burst / 16) };
  const lines = { train: openFairShare<T>(shares), eval: openFairShare<T>(shares) };
  /** What evaluation is due, in images. */
  let due = 0;

  return {
    add: (item) => lines[item.purpose].add(item),
    remove: (item) => lines[item.purpose].remove(item),
    take(count) {
      const both = lines.train.images > 0 && lines.eval.images > 0;
      due = both ? due + EVAL_SHARE * Math.min(count, lines.train.images + lines.eval.images) : 0;
      const guaranteed = Math.min(Math.floor(due), lines.eval.images, count);
      due -= guaranteed;
      const trained = Math.min(count - guaranteed, lines.train.images);
      return [...lines.train.take(trained), ...lines.eval.take(count - trained)];
    },
    until(team, part) {
      const trained = lines.train.until(team, part);
      const evaluated = lines.eval.until(team, part);
      const beside = Math.min(lines.eval.images, (trained * EVAL_SHARE) / (1 - EVAL_SHARE));
      const before = Math.min(lines.train.images, (evaluated * (1 - EVAL_SHARE)) / EVAL_SHARE);
      return Math.max(trained + beside, evaluated > 0 ? evaluated + before : 0);
    },
    get requests() {
      return lines.train.requests + lines.eval.requests;
    },
    get images() {
      return lines.train.images + lines.eval.images;
    },
  };
}
