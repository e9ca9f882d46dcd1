import { UserError } from "@funmatch/config";
import { type ScheduleConfig, scheduleMultiplier } from "../learn/schedule.ts";
import { compare, type Row } from "./check.ts";
import type { Golden } from "./golden.ts";

/** A schedule's settings as big_vision's configs name them. */
export type BigVisionSchedule = Record<string, unknown>;

const KNOWN = new Set(
  "total_steps batch_size data_size decay_type power end linear_end timescale shift steps mults".split(" "),
);
const DURATION = /^(warmup|cooldown|timescale|shift)_(steps|examples|epochs|percent)$/;

export async function schedulesRow(golden: Golden): Promise<Row> {
  const all =
    golden.json<Record<string, { kw: BigVisionSchedule; steps: number[]; mult: number[] }>>("schedules.json");
  const checks = Object.entries(all).map(([name, { kw, steps, mult }]) => {
    const { schedule, total } = readSchedule(kw, name);
    const ours = steps.map((step) => scheduleMultiplier(schedule, step, total));
    return compare(name, ours, mult, { absolute: 1e-5 });
  });
  return { name: "schedules", checks };
}

/** @throws UserError for a setting that this project's schedules do not have */
export function readSchedule(
  kw: BigVisionSchedule,
  where: string,
): { schedule: ScheduleConfig; total: number } {
  const unknown = Object.keys(kw).find((key) => !KNOWN.has(key) && !DURATION.test(key));
  if (unknown) throw new UserError(`schedule ${where}: the setting ${unknown} is unknown`);
  const total = Number(kw.total_steps);
  const ramps = { warmupSteps: steps(kw, "warmup"), cooldownSteps: steps(kw, "cooldown") };
  const decay = (kw.decay_type ?? "stair") as string;
  switch (decay) {
    case "cosine":
      return { total, schedule: { decay, ...ramps } };
    case "linear":
    case "polynomial": {
      const end = (kw.end ?? kw.linear_end) as number | undefined;
      return {
        total,
        schedule: { decay: "linear", power: kw.power as number | undefined, end, ...ramps },
      };
    }
    case "rsqrt": {
      const timescale = steps(kw, "timescale") ?? (kw.timescale as number | undefined);
      const shift = steps(kw, "shift") ?? (kw.shift as number | undefined);
      return { total, schedule: { decay, timescale, shift, ...ramps } };
    }
    case "stair": {
      const [boundaries, multipliers] = [(kw.steps ?? []) as number[], (kw.mults ?? []) as number[]];
      return { total, schedule: { decay, boundaries, multipliers, ...ramps } };
    }
    default:
      throw new UserError(`schedule ${where}: decay ${String(decay)} is unknown`);
  }
}

/** A duration, which big_vision lets one give in steps, examples, epochs or as a share of the run. */
function steps(kw: BigVisionSchedule, of: string): number | undefined {
  const given = (unit: string): number | undefined => kw[`${of}_${unit}`] as number | undefined;
  const whole = (x: number): number => (x === 0 ? 0 : Math.max(1, Math.round(x)));
  const [batch, data, total] = [Number(kw.batch_size), Number(kw.data_size), Number(kw.total_steps)];
  const [inSteps, examples, epochs, percent] = ["steps", "examples", "epochs", "percent"].map(given);
  if (inSteps !== undefined) return inSteps;
  if (examples !== undefined) return whole(examples / batch);
  if (epochs !== undefined) return whole((epochs * data) / batch);
  return percent === undefined ? undefined : whole(percent * total);
}
