/**
 * A side of `bench/step` that runs TensorFlow under tfjs, in a process of its own so that its peak memory is its own.
 * The parent says when to take a step; the answer says how long it took and what came of it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Arrays, type CaptureOptions, captureStep, loadEngine } from "@funmatch/engine";
import { networkOf, readWeights } from "@funmatch/models";
import { updateStep } from "../../student-trainer/learn/step.ts";
import { eagerStep } from "./eager.ts";
import { plainBit } from "./plain-bit.ts";
import type { StepTask } from "./task.ts";

/** Our captured step; tfjs-node with a BiT in its users' own words; tfjs-node with our network. */
export type OurWay = "captured" | "plain" | "eager";

/** From the parent: make the step ready, or take step number `step`, counted from 0. */
export type StepOrder = { prepare: OurWay; task: StepTask } | { step: number };

/** What every side answers: to the first order how long it took to be ready, then of each step. */
export interface StepAnswer {
  milliseconds: number;
  loss: number;
  gradientNorm: number;
  /** Of the process until the first step is done, then of the steps after it. */
  peakMemoryMb: number;
  versions?: Record<string, string>;
}

type Result = Pick<StepAnswer, "loss" | "gradientNorm">;

let run: (arrays: Arrays) => Result;
let task: StepTask;

process.on("message", async (order: StepOrder) => {
  process.send?.("prepare" in order ? await prepare(order.prepare, order.task) : take(order.step));
});

async function prepare(way: OurWay, given: StepTask): Promise<StepAnswer> {
  task = given;
  const { tensorflow, tfjs, node } = await loadEngine();
  const options = await describe(way, task);
  const began = performance.now();
  run = make(way, options);
  const milliseconds = performance.now() - began;
  const versions = { tensorflow, tfjs, node };
  return { milliseconds, loss: Number.NaN, gradientNorm: Number.NaN, peakMemoryMb: peakMemory(), versions };
}

function take(step: number): StepAnswer {
  const batch = batchOf(step, task);
  const began = performance.now();
  const result = run(batch);
  const milliseconds = performance.now() - began;
  const answer = { ...result, milliseconds, peakMemoryMb: peakMemory() };
  if (step === 0) forgetPeak();
  return answer;
}

async function describe(way: OurWay, { model, weights, resolution, batch, dtype, ...o }: StepTask) {
  return updateStep({
    network: way === "plain" && model.kind === "bit" ? plainBit(model) : networkOf(model).apply(),
    classes: model.classes,
    weights: await readWeights(weights),
    resolution,
    batch,
    accumulate: 1,
    compute: dtype,
    teaching: "logits",
    distance: { kind: "kl", temperature: 1 },
    optimizer: {
      kind: "adam",
      learningRate: o.learningRate,
      weightDecay: o.weightDecay,
      decay: ".*/kernel$",
      clip: o.clip,
      firstMoment: "float32",
    },
  });
}

function make(way: OurWay, options: CaptureOptions): (arrays: Arrays) => Result {
  if (way !== "captured") {
    const step = eagerStep(options);
    return (arrays) => step(arrays) as unknown as Result;
  }
  const captured = captureStep(options);
  return (arrays) => {
    const { loss, gradientNorm } = captured.run(arrays);
    return { loss: loss![0]!, gradientNorm: gradientNorm![0]! };
  };
}

function batchOf(step: number, { batches }: StepTask) {
  const read = (kind: string) => new Uint8Array(readFileSync(join(batches, `${kind}-${step}.bin`)));
  return {
    images: read("images"),
    targets: new Float32Array(read("targets").buffer),
    step: Float32Array.of(step + 1),
    multiplier: Float32Array.of(1),
  };
}

/** Most that has been resident at once since the start or the last `forgetPeak`, in MB. */
function peakMemory(): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1]) / 1024;
}

function forgetPeak(): void {
  writeFileSync("/proc/self/clear_refs", "5");
}
