import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type ScheduleConfig, scheduleMultiplier } from "../../student-trainer/learn/schedule.ts";
import { readSchedule } from "../../student-trainer/parity/schedules.ts";

const at = (schedule: ScheduleConfig, total: number, ...steps: number[]) =>
  steps.map((step) => scheduleMultiplier(schedule, step, total));

test("cosine after warm-up: from 0 up to 1, then down to 0", () => {
  const values = at({ decay: "cosine", warmupSteps: 4 }, 12, 0, 2, 4, 8, 12);
  [0, 0.5, 1, 0.5, 0].forEach((value, i) => {
    expect(values[i]).toBeCloseTo(value, 12);
  });
});

test("linear to an end, to a power", () => {
  expect(at({ decay: "linear" }, 10, 0, 5, 10)).toEqual([1, 0.5, 0]);
  expect(at({ decay: "linear", power: 2, end: 0.2 }, 10, 5)[0]).toBeCloseTo(0.2 + 0.8 * 0.25, 12);
});

test("reciprocal square root, with cool-down", () => {
  const schedule: ScheduleConfig = { decay: "rsqrt", timescale: 100, warmupSteps: 10, cooldownSteps: 20 };
  expect(at(schedule, 1000, 310)[0]).toBeCloseTo(0.5, 12);
  expect(at(schedule, 1000, 1000)).toEqual([0]);
});

test("stairs begin at their boundaries", () => {
  const stair: ScheduleConfig = { decay: "stair", boundaries: [10, 20], multipliers: [0.1, 0.01] };
  expect(at(stair, 30, 9, 10, 19, 20)).toEqual([1, 0.1, 0.1, 0.01]);
});

test("a warm-up as long as the run is a mistake", () => {
  expect(() => scheduleMultiplier({ decay: "cosine", warmupSteps: 100 }, 0, 50)).toThrow(
    "schedule.warmupSteps: 100 steps of warm-up leave nothing of a run of 50; take fewer",
  );
});

describe("big_vision's settings", () => {
  test("golden values", () => {
    const path = new URL("../golden/schedules.json", import.meta.url);
    const all = JSON.parse(readFileSync(path, "utf8")) as Record<
      string,
      { kw: Record<string, unknown>; steps: number[]; mult: number[] }
    >;
    for (const [name, { kw, steps, mult }] of Object.entries(all)) {
      const { schedule, total } = readSchedule(kw, name);
      steps.forEach((step, i) => {
        expect(scheduleMultiplier(schedule, step, total)).toBeCloseTo(mult[i]!, 6);
      });
    }
  });

  test("durations in epochs, examples or shares of the run", () => {
    const kw = { total_steps: 1000, decay_type: "cosine", batch_size: 10, data_size: 500 };
    const warmup = (setting: object) => readSchedule({ ...kw, ...setting }, "test").schedule.warmupSteps;
    expect(warmup({ warmup_epochs: 2 })).toBe(100);
    expect(warmup({ warmup_examples: 70 })).toBe(7);
    expect(warmup({ warmup_percent: 0.05 })).toBe(50);
    expect(() => readSchedule({ ...kw, restarts: 3 }, "test")).toThrow(
      "schedule test: the setting restarts is unknown",
    );
  });
});
