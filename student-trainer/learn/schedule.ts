import { UserError } from "@funmatch/config";

/** How the learning rate moves; multiplied by warm-up and cool-down ramps. Steps count from 0. */
export type ScheduleConfig = {
  /** Steps over which the rate first rises from 0. */
  warmupSteps?: number;
  /** Steps over which it is at last taken to 0. */
  cooldownSteps?: number;
} & (
  | { decay: "cosine" }
  /** `1 - progress` to a power (1), down to `end` (0). */
  | { decay: "linear"; power?: number; end?: number }
  /** `1 / sqrt(1 + (steps since warm-up + shift) / timescale)`. */
  | { decay: "rsqrt"; timescale?: number; shift?: number }
  /** From each boundary on, the multiplier beside it. */
  | { decay: "stair"; boundaries: number[]; multipliers: number[] }
);

/**
 * The factor on learning rate and weight decay at a step of a run of `total` steps, as big_vision computes it.
 *
 * @throws UserError when warm-up takes the whole run
 * @example scheduleMultiplier({ decay: "cosine", warmupSteps: 3 }, 4, 6) // 0.75
 */
export function scheduleMultiplier(schedule: ScheduleConfig, step: number, total: number): number {
  const warmup = schedule.warmupSteps ?? 0;
  const cooldown = schedule.cooldownSteps ?? 0;
  if (total > 1 && warmup >= total)
    throw new UserError(
      `schedule.warmupSteps: ${warmup} steps of warm-up leave nothing of a run of ${total}; take fewer`,
    );
  const span = total - warmup;
  const progress = span > 0 ? Math.min(1, Math.max(0, (step - warmup) / span)) : 1;
  const rise = warmup > 0 ? Math.min(1, step / warmup) : 1;
  const fall = cooldown > 0 ? Math.min(1, (total - step) / cooldown) : 1;
  return decayed(schedule, step - warmup, progress, step) * rise * fall;
}

function decayed(schedule: ScheduleConfig, sinceWarmup: number, progress: number, step: number): number {
  switch (schedule.decay) {
    case "cosine":
      return 0.5 * (1 + Math.cos(Math.PI * progress));
    case "linear": {
      const end = schedule.end ?? 0;
      return end + (1 - end) * (1 - progress) ** (schedule.power ?? 1);
    }
    case "rsqrt": {
      const steps = Math.max(0, sinceWarmup) + (schedule.shift ?? 0);
      return 1 / Math.sqrt(1 + steps / (schedule.timescale ?? 10_000));
    }
    case "stair": {
      const passed = schedule.boundaries.filter((boundary) => boundary <= step).length;
      return passed === 0 ? 1 : schedule.multipliers[passed - 1]!;
    }
  }
}
