import { loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { adam } from "../../student-trainer/learn/adam.ts";
import { optimizerUpdate } from "../../student-trainer/learn/optimizer.ts";

beforeAll(async () => {
  await loadEngine();
});

const KERNEL = "conv/kernel";
const BIAS = "conv/bias";

/** The optimizer in plain float64, written from the formulas. */
function reference(
  steps: { gradient: number[]; multiplier: number }[],
  o: { lr: number; wd: number; clip: number },
) {
  const state: Record<string, { p: number; mu: number; nu: number }> = {
    [KERNEL]: { p: 1, mu: 0, nu: 0 },
    [BIAS]: { p: -2, mu: 0, nu: 0 },
  };
  steps.forEach(({ gradient, multiplier }, i) => {
    const norm = Math.hypot(...gradient);
    const scale = norm < o.clip ? 1 : o.clip / norm;
    [KERNEL, BIAS].forEach((name, j) => {
      const s = state[name]!;
      const g = gradient[j]! * scale;
      s.mu = 0.9 * s.mu + 0.1 * g;
      s.nu = 0.999 * s.nu + 0.001 * g * g;
      const adam = s.mu / (1 - 0.9 ** (i + 1)) / (Math.sqrt(s.nu / (1 - 0.999 ** (i + 1))) + 1e-8);
      s.p -= multiplier * (o.lr * adam + (name === KERNEL ? o.wd * s.p : 0));
    });
  });
  return state;
}

function run(
  steps: { gradient: number[]; multiplier: number }[],
  o: { lr: number; wd: number; clip: number },
  muBfloat16 = false,
) {
  let params: Record<string, tf.Tensor> = { [KERNEL]: tf.tensor1d([1]), [BIAS]: tf.tensor1d([-2]) };
  let slots: Record<string, tf.Tensor> = Object.fromEntries(
    ["mu", "nu"].flatMap((slot) => [KERNEL, BIAS].map((name) => [`${slot}/${name}`, tf.zeros([1])])),
  );
  let norms: number[] = [];
  steps.forEach(({ gradient, multiplier }, i) => {
    const after = optimizerUpdate({
      rule: adam({ firstMoment: muBfloat16 ? "bfloat16" : "float32" }),
      params,
      slots,
      grads: { [KERNEL]: tf.tensor1d([gradient[0]!]), [BIAS]: tf.tensor1d([gradient[1]!]) },
      step: tf.scalar(i + 1),
      multiplier: tf.scalar(multiplier),
      learningRate: o.lr,
      weightDecay: o.wd,
      clip: o.clip,
      decays: /.*\/kernel$/,
    });
    ({ params, slots } = after);
    norms = [after.gradientNorm, after.updateNorm].map((t) => t.dataSync()[0]!);
  });
  const value = (t: tf.Tensor | undefined) => t!.dataSync()[0]!;
  const of = (name: string) => ({
    p: value(params[name]),
    mu: value(slots[`mu/${name}`]),
    nu: value(slots[`nu/${name}`]),
  });
  return { norms, [KERNEL]: of(KERNEL), [BIAS]: of(BIAS) };
}

const STEPS = [
  { gradient: [3, 4], multiplier: 0.5 },
  { gradient: [-0.1, 0.2], multiplier: 1 },
  { gradient: [0.01, -7], multiplier: 0.25 },
];

describe("adam", () => {
  test("follows the formulas", () => {
    const settings = { lr: 0.1, wd: 0.01, clip: 1 };
    const [ours, exact] = [run(STEPS, settings), reference(STEPS, settings)];
    for (const name of [KERNEL, BIAS] as const)
      for (const part of ["p", "mu", "nu"] as const)
        expect(ours[name][part]).toBeCloseTo(exact[name]![part], 5);
  });

  test("reports the norm before clipping, and that of what was subtracted", () => {
    const first = STEPS.slice(0, 1);
    const { norms, [KERNEL]: kernel, [BIAS]: bias } = run(first, { lr: 0.1, wd: 0.01, clip: 1 });
    expect(norms[0]).toBeCloseTo(5, 5);
    expect(norms[1]).toBeCloseTo(Math.hypot(1 - kernel.p, -2 - bias.p), 5);
  });

  test("weight decay takes from kernels alone and is not scaled by the learning rate", () => {
    const still = [{ gradient: [0, 0], multiplier: 0.5 }];
    const { [KERNEL]: kernel, [BIAS]: bias } = run(still, { lr: 1e-6, wd: 0.2, clip: 1 });
    expect(kernel.p).toBeCloseTo(0.9, 6);
    expect(bias.p).toBe(-2);
  });

  test("a multiplier of zero changes the moments but not the parameters", () => {
    const { [KERNEL]: kernel } = run([{ gradient: [0.3, 0.4], multiplier: 0 }], {
      lr: 0.1,
      wd: 0.1,
      clip: 1,
    });
    expect(kernel.p).toBe(1);
    expect(kernel.mu).toBeCloseTo(0.03, 6);
  });

  test("in bfloat16 the first moment has eight bits, and the update is made before they are cut", () => {
    const settings = { lr: 0.1, wd: 0, clip: 1e9 };
    const first = [{ gradient: [1 / 3, 1], multiplier: 1 }];
    const [narrow, wide] = [run(first, settings, true), run(first, settings)];
    expect(narrow[KERNEL].p).toBe(wide[KERNEL].p);
    expect(narrow[KERNEL].mu).not.toBe(wide[KERNEL].mu);
    const bits = new Uint32Array(Float32Array.of(narrow[KERNEL].mu).buffer)[0]!;
    expect(bits & 0xffff).toBe(0);
    expect(Math.abs(narrow[KERNEL].mu * 30 - 1)).toBeLessThan(2 ** -8);
  });
});
