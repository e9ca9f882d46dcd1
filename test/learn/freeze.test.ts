import { type Captured, captureStep, loadEngine } from "@funmatch/engine";
import { initBit, networkOf, type Weights } from "@funmatch/models";
import { draws } from "@funmatch/views";
import { beforeAll, describe, expect, test } from "vitest";
import { trainedNames } from "../../student-trainer/learn/name-pattern.ts";
import { type UpdateOptions, updateStep } from "../../student-trainer/learn/step.ts";

beforeAll(async () => {
  await loadEngine();
});

const MODEL = { kind: "bit" as const, blocks: [1], width: 0.5, classes: 4 };
const [BATCH, SIDE] = [4, 16];

function noise(name: string, count: number): Float32Array {
  const stream = draws(3, name);
  return Float32Array.from({ length: count }, () => stream.normal());
}

/** Random, also where a fresh student has zeros or ones. */
function weights(): Weights {
  const all = initBit(MODEL, noise);
  for (const [name, { values }] of Object.entries(all))
    for (const [i, x] of noise(`more ${name}`, values.length).entries()) values[i] = values[i]! + 0.1 * x;
  return all;
}

function update(optimizer: object): Captured {
  return captureStep(
    updateStep({
      network: networkOf(MODEL).apply(),
      classes: MODEL.classes,
      weights: weights(),
      resolution: SIDE,
      batch: BATCH,
      accumulate: 1,
      compute: "float32",
      teaching: "logits",
      distance: { kind: "kl", temperature: 1 },
      optimizer: {
        ...{ kind: "sgd", momentum: 0, nesterov: false, learningRate: 0.1, clip: 1e9 },
        ...{ weightDecay: 0, decay: ".*/kernel$" },
        ...optimizer,
      } as UpdateOptions["optimizer"],
    }),
  );
}

function step(captured: Captured, n: number) {
  return captured.run({
    images: Uint8Array.from(noise(`images ${n}`, BATCH * SIDE * SIDE * 3), (x) => 128 + 40 * x),
    targets: noise(`targets ${n}`, BATCH * MODEL.classes),
    step: Float32Array.of(n),
    multiplier: Float32Array.of(1),
  });
}

describe("freeze", () => {
  test("frozen parameters stay bit for bit, the others move as without it, the norm is of theirs alone", () => {
    const [partly, wholly] = [update({ freeze: "root_block/.*", momentum: 0.9 }), update({ momentum: 0.9 })];
    const [norm, ofAll] = [step(partly, 1), step(wholly, 1)].map((out) => out.gradientNorm![0]!);
    const [state, moved] = [partly.readState(), wholly.readState()];
    let squares = 0;
    for (const [name, { values }] of Object.entries(weights())) {
      const [ours, free] = [state[`params/${name}`]!, moved[`params/${name}`]!];
      if (name.startsWith("root_block/")) {
        expect(ours).toEqual(values);
        expect(state).not.toHaveProperty(`trace/${name}`);
        expect(free).not.toEqual(values);
      } else {
        for (const [i, x] of ours.entries()) expect(Math.abs(x - free[i]!)).toBeLessThan(1e-6);
        for (const x of state[`trace/${name}`]!) squares += x * x;
      }
    }
    expect(norm! / Math.sqrt(squares)).toBeCloseTo(1, 5);
    expect(norm).toBeLessThan(ofAll!);
    step(partly, 2);
    expect(partly.readState(["params/root_block/conv_root/kernel"])).toEqual({
      "params/root_block/conv_root/kernel": weights()["root_block/conv_root/kernel"]!.values,
    });
  });

  test("decay takes from the parameters that are named", () => {
    const gone = update({ learningRate: 1e-30, weightDecay: 0.5, decay: "head/.*" });
    step(gone, 1);
    const state = gone.readState();
    for (const [name, { values }] of Object.entries(weights()))
      expect(state[`params/${name}`]).toEqual(name.startsWith("head/") ? values.map((x) => x / 2) : values);
  });
});

test.each([
  [{ freeze: "root_block" }, 'optimizer.freeze: "root_block" matches none of the student\'s parameters (a/'],
  [{ freeze: ".*" }, 'optimizer.freeze: ".*" matches all of the student\'s parameters'],
  [{ decay: "kernel", weightDecay: 0.1 }, 'optimizer.decay: "kernel" matches none of'],
])("%o is refused: a pattern matches whole names", (patterns, message) => {
  const names = ["a/kernel", "a/bias", "root_block/kernel"];
  expect(() => trainedNames(names, { decay: ".*/kernel$", weightDecay: 0, ...patterns })).toThrow(message);
});
