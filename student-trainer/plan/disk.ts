import type { TrainConfig } from "../config.ts";

/** What a run leaves on the disk. */
export interface DiskUse {
  /** Checkpoints that lie there at once, the one that is being written among them. */
  checkpoints: number;
  /** Bytes of ledger, metrics and event files. */
  lines: number;
  bytes: number;
}

/** Bytes that a logged step adds to the metrics and the event file. */
const METRICS_LINE = 600;

/**
 * Reckons what a run of so many steps needs.
 *
 * @param state bytes of a checkpoint
 * @param ledgerLine bytes that a step adds to the ledger
 */
export function diskUse(
  { checkpoint, log, evaluate }: Pick<TrainConfig, "checkpoint" | "log" | "evaluate">,
  { steps, state, ledgerLine }: { steps: number; state: number; ledgerLine: number },
): DiskUse {
  const { everySteps, keep, keepEvery } = checkpoint;
  const milestones = keepEvery ? Math.floor(steps / keepEvery) : 0;
  const best = evaluate.best ? 1 : 0;
  const checkpoints = Math.min(Math.ceil(steps / everySteps), keep + milestones) + best + 1;
  const lines = steps * ledgerLine + (steps / log.everySteps) * METRICS_LINE;
  return { checkpoints, lines, bytes: checkpoints * state + lines };
}
