import { median, type Row, ratioOfTimes } from "../benchmark.ts";
import type { StepAnswer } from "./ours.ts";
import { inWords, type Side } from "./sides.ts";
import type { StepTask } from "./task.ts";
import type { Tried } from "./trial.ts";

/** The first steps pay for allocation and compilation and are not timed; all losses are compared. */
export const WARM_UP = 3;

/** How far a loss may be from ours in float32, relatively: bfloat16 keeps 8 bits. */
const TOLERANCE = { float32: 1e-3, bfloat16: 0.05 };

/**
 * The row of one size and dtype.
 *
 * @param sides ours first
 * @param reference the answers of ours in float32
 * @throws Error when a side computes something else
 */
export function rowOf(task: StepTask, sides: Side[], tried: Tried[], reference: StepAnswer[]): Row {
  const [ours, ...others] = sides as [Side, ...Side[]];
  const peers = Object.fromEntries(others.map((side) => [side.label, median(times(side))]));
  const details: Row["details"] = {
    "steps timed": times(ours).length,
    "ours: capture and load, ms": ours.prepared.milliseconds,
    "ours: peak memory until the first step is done, MB": ours.answers[0]!.peakMemoryMb,
  };
  for (const [label, time] of Object.entries(peers))
    details[`times faster than ${label}`] = time / median(times(ours));
  for (const { label, setup, answers } of sides) {
    details[`${label}: setup`] = setup;
    details[`${label}: fastest to slowest, ms`] = spread(answers.slice(WARM_UP));
    details[`${label}: peak memory of the steps, MB`] = answers.at(-1)!.peakMemoryMb;
    Object.assign(details, agreement(label, answers, reference, task));
  }
  for (const { configuration, milliseconds, answers } of tried) {
    details[`tried: ${inWords(configuration)}, ms`] = milliseconds;
    agreement(inWords(configuration), answers, reference, task);
  }
  return {
    name: task.name,
    dtype: task.dtype,
    unit: "ms",
    ours: median(times(ours)),
    peers,
    ratio: ratioOfTimes(median(times(ours)), peers),
    details,
  };
}

/** How near a side's losses and gradients are to ours in float32. */
function agreement(
  label: string,
  answers: StepAnswer[],
  reference: StepAnswer[],
  { name, dtype }: StepTask,
): Row["details"] {
  const farthest = (of: (answer: StepAnswer) => number) =>
    Math.max(...answers.map((answer, i) => Math.abs(of(answer) / of(reference[i]!) - 1)));
  const losses = farthest(({ loss }) => loss);
  if (!(losses < TOLERANCE[dtype]))
    throw new Error(
      `${name}, ${dtype}: ${label} computes something else: its losses are ${answers.map(({ loss }) => loss)}, ours in float32 ${reference.slice(0, answers.length).map(({ loss }) => loss)}`,
    );
  return {
    [`${label}: first ${answers.length} losses, largest relative difference to ours in float32`]: losses,
    [`${label}: of the gradients' norms`]: farthest(({ gradientNorm }) => gradientNorm),
  };
}

function times(side: Side): number[] {
  return side.answers.slice(WARM_UP).map((answer) => answer.milliseconds);
}

function spread(answers: StepAnswer[]): string {
  const values = answers.map(({ milliseconds }) => milliseconds);
  return `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`;
}
