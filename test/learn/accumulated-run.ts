/**
 * A few steps of a student on noise, whose batch goes through in `accumulate` parts. Run as a program, it prints its
 * peak memory in MiB: `node test/learn/accumulated-run.ts BATCH RESOLUTION ACCUMULATE STEPS`.
 */
import { captureStep, loadEngine } from "@funmatch/engine";
import { type NetworkConfig, networkOf } from "@funmatch/models";
import { draws } from "@funmatch/views";
import { lastingState, runStep } from "../../student-trainer/learn/accumulate.ts";
import { type UpdateOptions, updateStep } from "../../student-trainer/learn/step.ts";

const MODEL: NetworkConfig = { kind: "bit", blocks: [1], width: 0.5, classes: 10 };

export interface AccumulatedRun {
  batch: number;
  resolution: number;
  accumulate: number;
  steps: number;
  optimizer?: Partial<UpdateOptions["optimizer"]>;
  /** Absent: a small BiT. */
  model?: NetworkConfig;
}

/** Results of each step, and the state that a checkpoint would hold. */
export function accumulatedRun({
  batch,
  resolution,
  accumulate,
  steps,
  optimizer,
  model = MODEL,
}: AccumulatedRun) {
  const network = networkOf(model);
  const options = updateStep({
    ...{ network: network.apply(), classes: model.classes, weights: network.init(noise) },
    ...{ resolution, batch, accumulate },
    ...{ teaching: "logits", distance: { kind: "kl", temperature: 2 }, compute: "float32" },
    optimizer: {
      ...{ kind: "adam", firstMoment: "float32", learningRate: 1e-3, clip: 1 },
      ...{ weightDecay: 1e-3, decay: ".*/kernel$" },
      ...optimizer,
    } as UpdateOptions["optimizer"],
  });
  const update = captureStep(options);
  const results = Array.from({ length: steps }, (_, i) =>
    runStep(
      update,
      {
        images: bytes(`images ${i}`, batch * resolution ** 2 * 3),
        targets: noise(`targets ${i}`, batch * model.classes),
        step: i + 1,
        multiplier: 1,
      },
      accumulate,
    ),
  );
  const state = update.readState(Object.keys(lastingState(options)));
  const sums = Object.keys(options.state ?? {}).filter((name) => !(name in state));
  const leftOver = Object.values(update.readState(sums)).some((sum) => sum.some((x) => x !== 0));
  update.dispose();
  return { results, state, sums, leftOver };
}

function noise(name: string, count: number): Float32Array {
  const stream = draws(3, name);
  return Float32Array.from({ length: count }, () => stream.normal());
}

function bytes(name: string, count: number): Uint8Array {
  const stream = draws(3, name);
  return Uint8Array.from({ length: count }, () => stream.below(256));
}

if (import.meta.main) {
  const [batch, resolution, accumulate, steps] = process.argv.slice(2).map(Number) as [
    number,
    number,
    number,
    number,
  ];
  await loadEngine();
  accumulatedRun({ batch, resolution, accumulate, steps });
  console.log(Math.round(process.resourceUsage().maxRSS / 1024));
}
