/** A captured training step of one size, in a process of its own so that its peak memory is its own. */
import { type Captured, captureStep, loadEngine } from "@funmatch/engine";
import { initBit, networkOf } from "@funmatch/models";
import { updateStep } from "../../student-trainer/learn/step.ts";
import { noise, noiseBytes } from "../noise.ts";

export interface StepSize {
  blocks: number[];
  width: number;
  classes: number;
  batch: number;
  resolution: number;
}

/** Make the step ready, or run the one of this number. */
export type StepOrder = { prepare: StepSize } | { step: number };

export interface StepAnswer {
  milliseconds: number;
  peakMemoryMb: number;
}

let size: StepSize;
let update: Captured;

process.on("message", async (order: StepOrder) => {
  const began = performance.now();
  let milliseconds: number;
  if ("prepare" in order) {
    size = order.prepare;
    await loadEngine();
    update = capture(size);
    milliseconds = performance.now() - began;
  } else {
    const images = noiseBytes("images", size.batch * size.resolution ** 2 * 3);
    const targets = noise("targets", size.batch * size.classes);
    const at = performance.now();
    update.run({ images, targets, step: Float32Array.of(order.step), multiplier: Float32Array.of(1) });
    milliseconds = performance.now() - at;
  }
  const peakMemoryMb = process.resourceUsage().maxRSS / 1024;
  process.send?.({ milliseconds, peakMemoryMb } satisfies StepAnswer);
});

function capture({ blocks, width, classes, batch, resolution }: StepSize): Captured {
  const model = { kind: "bit", blocks, width, classes } as const;
  return captureStep(
    updateStep({
      network: networkOf(model).apply(),
      weights: initBit(model, noise),
      ...{ classes, resolution, batch, accumulate: 1, compute: "float32", teaching: "logits" },
      distance: { kind: "kl", temperature: 1 },
      optimizer: {
        ...{ kind: "adam", learningRate: 1e-4, weightDecay: 1e-4, clip: 1 },
        ...{ decay: ".*/kernel$", firstMoment: "float32" },
      },
    }),
  );
}
