import { type ChildProcess, fork } from "node:child_process";
import { bitBlocks } from "@funmatch/models";
import { askChild } from "../ask-child.ts";
import type { Row } from "../benchmark.ts";
import { type Point, seriesRows } from "./series.ts";
import type { StepAnswer, StepOrder, StepSize } from "./step-child.ts";

/** The sizes of the training step that are tried; all but one at a time are those of `at`. */
export interface StepSizes {
  at: StepSize;
  batches: number[];
  resolutions: number[];
  /** The first is what the others are compared with. */
  classes: number[];
  /** Timed steps of each size. */
  steps: number;
}

export const FULL: StepSizes = {
  at: { blocks: bitBlocks(26), width: 0.5, classes: 1000, batch: 64, resolution: 64 },
  batches: [4, 8, 16, 32, 64, 128],
  resolutions: [32, 64, 96, 128, 160],
  classes: [10, 5000, 10_000, 21_841], // fewer add less than a step varies by
  steps: 8,
};
export const TINY: StepSizes = {
  at: { blocks: [1], width: 0.5, classes: 10, batch: 4, resolution: 32 },
  batches: [2, 4],
  resolutions: [32],
  classes: [10, 1000],
  steps: 2,
};

/** The first steps pay for allocation, and for TensorFlow's look at the graph. */
const WARM_UP = 3;

/** What a step costs an image, as batches grow. */
export async function batchRows({ at, batches, steps }: StepSizes): Promise<Row[]> {
  const measured = await measure(
    batches.map((batch) => ({ ...at, batch })),
    steps,
  );
  const points = measured.map((one) => ({ ...one, name: `batch ${one.of.batch}`, units: one.of.batch }));
  return seriesRows(points, { what: "step", each: "image", unit: "ms", whole: "a step, ms" });
}

/** What a step costs 1,000 pixels of an image, as pictures grow. */
export async function resolutionRows({ at, resolutions, steps }: StepSizes): Promise<Row[]> {
  const batch = Math.ceil(at.batch / 4);
  const measured = await measure(
    resolutions.map((resolution) => ({ ...at, batch, resolution })),
    steps,
  );
  const points = measured.map((one) => ({
    ...one,
    name: `${one.of.resolution} px, batch ${batch}`,
    units: (batch * one.of.resolution ** 2) / 1000,
  }));
  return seriesRows(points, { what: "step", each: "1,000 pixels", unit: "ms", whole: "a step, ms" });
}

/** What 1,000 classes more than a few add to a step. */
export async function classRows({ at, classes, steps }: StepSizes): Promise<Row[]> {
  const [few, ...more] = await measure(
    classes.map((classes) => ({ ...at, classes })),
    steps,
  );
  // Turn about with the step of few classes: the differences of each turn.
  const points = more.map((one) => ({
    ...one,
    name: `${one.of.classes} classes, batch ${at.batch}`,
    units: (one.of.classes - few!.of.classes) / 1000,
    costs: one.costs.map((cost, i) => cost - few!.costs[i]!),
    details: { ...one.details, "the same step with few classes, ms": Math.min(...few!.costs) },
  }));
  const whole = `more than with ${few!.of.classes}, ms`;
  return seriesRows(points, { what: "step", each: "1,000 classes", unit: "ms", whole });
}

/** Times steps of all sizes turn about, so that whatever else the machine does falls on all. */
async function measure(
  sizes: StepSize[],
  steps: number,
): Promise<(Pick<Point, "costs" | "details"> & { of: StepSize })[]> {
  const children: ChildProcess[] = [];
  const env = { ...process.env, TF_NUM_INTEROP_THREADS: "1" }; // as the trainer's worker
  const found = [];
  try {
    for (const size of sizes) {
      const child = fork(new URL("./step-child.ts", import.meta.url), { env });
      children.push(child);
      const prepared = await ask(child, { prepare: size });
      found.push({ size, child, prepared, answers: [] as StepAnswer[] });
    }
    for (let step = 1; step <= WARM_UP + steps; step++)
      for (const { child, answers } of found) answers.push(await ask(child, { step }));
    return found.map(({ size, prepared, answers }) => ({
      of: size,
      costs: answers.slice(WARM_UP).map(({ milliseconds }) => milliseconds),
      details: {
        "peak memory, MB": answers.at(-1)!.peakMemoryMb,
        "capture and load, ms": prepared.milliseconds,
      },
    }));
  } finally {
    for (const child of children) child.kill();
  }
}

function ask(child: ChildProcess, order: StepOrder): Promise<StepAnswer> {
  return askChild<StepAnswer>(child, order);
}
