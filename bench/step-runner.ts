/**
 * One side of `bench/step`, in a process of its own so that its peak memory is its own. The parent says when to run
 * a step; the answer says how long it took and what the loss was.
 */
import { type Arrays, type CaptureOptions, captureStep, loadEngine } from "@funmatch/engine";
import { initBit, networkOf } from "@funmatch/models";
import { type UpdateOptions, updateStep } from "../student-trainer/learn/step.ts";
import { eagerStep } from "./eager.ts";
import { noise, noiseBytes } from "./noise.ts";
import { plainBit } from "./plain-bit.ts";

export interface StepSize {
  blocks: number[];
  width: number;
  classes: number;
  batch: number;
  resolution: number;
}

/** Our captured step; tfjs-node with a network in its users' own words; tfjs-node with our network. */
export type StepSide = "captured" | "plain" | "eager";

/** From the parent: make the step ready, run step number `step`, or tell the peak memory. */
export type StepOrder = { prepare: StepSide; size: StepSize } | { step: number } | { end: true };
/** To the parent, one for each order. */
export interface StepAnswer {
  milliseconds: number;
  loss: number;
  peakMemoryMb: number;
  versions: Record<string, string>;
}

type Run = (arrays: Arrays) => number;

let run: Run;
let size: StepSize;
let versions: Record<string, string>;

process.on("message", async (order: StepOrder) => {
  if ("end" in order) return process.disconnect();
  let milliseconds: number;
  let loss = Number.NaN;
  if ("prepare" in order) {
    size = order.size;
    const { tensorflow, tfjs, node } = await loadEngine();
    versions = { tensorflow, tfjs, node };
    const options = describe(order.prepare, size);
    const began = performance.now();
    run = make(order.prepare, options);
    milliseconds = performance.now() - began;
  } else {
    const batch = batchOf(order.step, size);
    const began = performance.now();
    loss = run(batch);
    milliseconds = performance.now() - began;
  }
  const peakMemoryMb = process.resourceUsage().maxRSS / 1024;
  process.send?.({ milliseconds, loss, peakMemoryMb, versions } satisfies StepAnswer);
});

function describe(side: StepSide, { blocks, width, classes, batch, resolution }: StepSize): CaptureOptions {
  const model = { kind: "bit", blocks, width, classes } as const;
  const options: UpdateOptions = {
    network: side === "plain" ? plainBit(model) : networkOf(model).apply(),
    classes,
    weights: initBit(model, noise),
    resolution,
    batch,
    accumulate: 1,
    compute: "float32",
    teaching: "logits",
    distance: { kind: "kl", temperature: 1 },
    optimizer: {
      kind: "adam",
      learningRate: 1e-4,
      weightDecay: 1e-4,
      decay: ".*/kernel$",
      clip: 1,
      firstMoment: "float32",
    },
  };
  return updateStep(options);
}

function make(side: StepSide, options: CaptureOptions): Run {
  if (side !== "captured") {
    const step = eagerStep(options);
    return (arrays) => step(arrays).loss as number;
  }
  const captured = captureStep(options);
  return (arrays) => captured.run(arrays).loss?.[0] as number;
}

function batchOf(step: number, { batch, resolution, classes }: StepSize) {
  return {
    images: noiseBytes(`images ${step}`, batch * resolution * resolution * 3),
    targets: noise(`targets ${step}`, batch * classes),
    step: Float32Array.of(step + 1),
    multiplier: Float32Array.of(1),
  };
}
