import { captureStep, loadEngine } from "@funmatch/engine";
import type * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { firstSlots, optimizerUpdate } from "../../student-trainer/learn/optimizer.ts";
import { sgd } from "../../student-trainer/learn/sgd.ts";

beforeAll(async () => {
  await loadEngine();
});

const START = { kernel: [1, -2, 0.5], bias: [0.25] };
const NAMES = { kernel: "head/kernel", bias: "head/bias" };
const STEPS = [
  { kernel: [3, 4, 0], bias: [12], multiplier: 0.5 },
  { kernel: [-0.1, 0.2, 0.05], bias: [0.3], multiplier: 1 },
  { kernel: [0.01, -7, 2], bias: [-0.4], multiplier: 0.25 },
  { kernel: [0.3, 0.1, -0.2], bias: [0.1], multiplier: 0.1 },
];
const SETTINGS = { learningRate: 0.1, weightDecay: 0.01, clip: 1 };

/** torch.optim.SGD (dampening 0) after clipping, with decoupled decay, in plain float64. */
function reference(momentum: number, nesterov: boolean) {
  const params = { kernel: [...START.kernel], bias: [...START.bias] };
  const buffers = { kernel: [0, 0, 0], bias: [0] };
  const norms: number[] = [];
  for (const { multiplier, ...gradients } of STEPS) {
    const norm = Math.hypot(...gradients.kernel, ...gradients.bias);
    norms.push(norm);
    for (const part of ["kernel", "bias"] as const)
      for (const [i, g] of gradients[part].entries()) {
        const clipped = g * Math.min(1, SETTINGS.clip / norm);
        buffers[part][i] = momentum * buffers[part][i]! + clipped;
        const direction = nesterov ? clipped + momentum * buffers[part][i]! : buffers[part][i]!;
        const decay = part === "kernel" ? SETTINGS.weightDecay * params[part][i]! : 0;
        params[part][i] = params[part][i]! - multiplier * (SETTINGS.learningRate * direction + decay);
      }
  }
  return { params, buffers, norms };
}

/** The same steps as training takes them: one captured graph that keeps parameters and trace. */
function captured(momentum: number, nesterov: boolean) {
  const rule = sgd({ momentum, nesterov });
  const params = {
    [NAMES.kernel]: { shape: [3], values: Float32Array.from(START.kernel) },
    [NAMES.bias]: { shape: [1], values: Float32Array.from(START.bias) },
  };
  const step = captureStep({
    inputs: {
      kernel: { shape: [3], dtype: "float32" },
      bias: { shape: [1], dtype: "float32" },
      step: { shape: [], dtype: "float32" },
      multiplier: { shape: [], dtype: "float32" },
    },
    state: { ...params, ...firstSlots(rule, params, Object.values(NAMES)) },
    fn: (inputs, state) => {
      const after = optimizerUpdate({
        rule,
        params: { [NAMES.kernel]: state[NAMES.kernel]!, [NAMES.bias]: state[NAMES.bias]! },
        grads: { [NAMES.kernel]: inputs.kernel!, [NAMES.bias]: inputs.bias! },
        slots: state,
        step: inputs.step as tf.Scalar,
        multiplier: inputs.multiplier as tf.Scalar,
        decays: /.*\/kernel$/,
        ...SETTINGS,
      });
      return { outputs: { norm: after.gradientNorm }, state: { ...after.params, ...after.slots } };
    },
  });
  const norms = STEPS.map(
    ({ kernel, bias, multiplier }, i) =>
      step.run({
        kernel: Float32Array.from(kernel),
        bias: Float32Array.from(bias),
        step: Float32Array.of(i + 1),
        multiplier: Float32Array.of(multiplier),
      }).norm![0]!,
  );
  const state = step.readState();
  step.dispose();
  return { state, norms };
}

const close = (ours: Float32Array | undefined, exact: number[]) => {
  expect(ours).toHaveLength(exact.length);
  for (const [i, value] of exact.entries()) expect(ours![i]).toBeCloseTo(value, 5);
};

test.each([
  ["momentum", 0.9, false],
  ["Nesterov", 0.9, true],
  ["no momentum", 0, false],
])("sgd with %s follows the formulas in float64", (_, momentum, nesterov) => {
  const [{ state, norms }, exact] = [captured(momentum, nesterov), reference(momentum, nesterov)];
  close(Float32Array.from(norms), exact.norms);
  for (const part of ["kernel", "bias"] as const) {
    close(state[NAMES[part]], exact.params[part]);
    if (momentum > 0) close(state[`trace/${NAMES[part]}`], exact.buffers[part]);
    else expect(state).not.toHaveProperty(`trace/${NAMES[part]}`);
  }
});
