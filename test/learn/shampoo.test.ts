import { captureStep, loadEngine } from "@funmatch/engine";
import { draws } from "@funmatch/views";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { inverseFourthRoot, RIDGE, rootsBetweenSteps } from "../../student-trainer/learn/inverse-root.ts";
import { firstSlots, optimizerUpdate } from "../../student-trainer/learn/optimizer.ts";
import { shampoo } from "../../student-trainer/learn/shampoo.ts";

beforeAll(async () => {
  await loadEngine();
});

type Matrix = number[][];
const indices = (n: number) => Array.from({ length: n }, (_, i) => i);
const product = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)));
const transposed = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map((row) => row[j]!));
const norm = (a: Matrix) => Math.hypot(...a.flat());
const identity = (n: number): Matrix => indices(n).map((i) => indices(n).map((j) => (i === j ? 1 : 0)));

function noise(name: string, count: number): number[] {
  const stream = draws(5, name);
  return Array.from({ length: count }, () => stream.normal());
}

/** The inverse fourth root in float64 from eigenvalues (Jacobi's rotations), with the ridge of the code. */
function exactRoot(a: Matrix): Matrix {
  const ridge = RIDGE * Math.max(...a.map((row) => row.reduce((sum, x) => sum + Math.abs(x), 0)));
  let m = a.map((row, i) => row.map((x, j) => (i === j ? x + ridge : x)));
  let vectors = identity(a.length);
  for (let sweep = 0; sweep < 30; sweep++)
    for (const p of indices(a.length))
      for (const q of indices(p)) {
        if (m[p]![q] === 0) continue;
        const angle = 0.5 * Math.atan2(2 * m[p]![q]!, m[q]![q]! - m[p]![p]!);
        const rotation = identity(a.length);
        rotation[p]![p] = rotation[q]![q] = Math.cos(angle);
        rotation[p]![q] = Math.sin(angle);
        rotation[q]![p] = -Math.sin(angle);
        m = product(product(transposed(rotation), m), rotation);
        vectors = product(vectors, rotation);
      }
  const scaled = vectors.map((row) => row.map((x, j) => x * m[j]![j]! ** -0.25));
  return product(scaled, transposed(vectors));
}

test.each([3, 16])("inverse fourth roots of matrices of %d rows equal those from eigenvalues", (size) => {
  const [first, second] = ["a", "b"].map((name) => {
    const x = indices(size).map((i) => noise(`${name}${i}`, size));
    return product(x, transposed(x));
  });
  const roots = inverseFourthRoot(tf.tensor3d([first!, second!])).arraySync();
  for (const [i, matrix] of [first!, second!].entries()) {
    const exact = exactRoot(matrix);
    const error = norm(exact.map((row, r) => row.map((x, c) => x - roots[i]![r]![c]!)));
    expect(error / norm(exact)).toBeLessThan(1e-3);
  }
});

test("a gradient that was always zero has a finite root", () => {
  const roots = inverseFourthRoot(tf.zeros([1, 4, 4])).dataSync();
  expect(roots.every(Number.isFinite)).toBe(true);
});

const [ROWS, COLUMNS, BLOCK, EVERY, STEPS] = [6, 3, 4, 2, 7];
const SETTINGS = { learningRate: 0.1, weightDecay: 0.01, clip: 2 };
const gradientsOf = (step: number) => ({
  kernel: indices(ROWS).map((i) => noise(`g${step},${i}`, COLUMNS)),
  bias: [noise(`b${step}`, COLUMNS)],
});
const START = { kernel: indices(ROWS).map((i) => noise(`p${i}`, COLUMNS)), bias: [noise("p", COLUMNS)] };

/** The optimizer in plain float64: a kernel of 6 rows in blocks of 4 is one of 4 and one of 2 rows. */
function reference() {
  const params = { kernel: START.kernel, bias: START.bias };
  const zero = (a: Matrix) => a.map((row) => row.map(() => 0));
  const mu = { kernel: zero(START.kernel), bias: zero(START.bias) };
  const nu = { kernel: zero(START.kernel), bias: zero(START.bias) };
  const blocks = [
    [0, 4],
    [4, 6],
  ].map(([from, to]) => ({
    ...{ from: from!, to: to! },
    left: zero(identity(to! - from!)),
    right: zero(identity(COLUMNS)),
    roots: [identity(to! - from!), identity(COLUMNS)] as [Matrix, Matrix],
  }));
  const add = (a: Matrix, x: number, b: Matrix, y: number) =>
    a.map((row, i) => row.map((value, j) => x * value + y * b[i]![j]!));
  for (let step = 1; step <= STEPS; step++) {
    const gradients = gradientsOf(step);
    const total = Math.hypot(norm(gradients.kernel), norm(gradients.bias));
    for (const part of ["kernel", "bias"] as const) {
      const g = add(gradients[part], Math.min(1, SETTINGS.clip / total), gradients[part], 0);
      mu[part] = add(mu[part], 0.9, g, 0.1);
      const squares = g.map((row) => row.map((x) => x * x));
      nu[part] = add(nu[part], 0.999, squares, 0.001);
      let update = mu[part].map((row, i) =>
        row.map((x, j) => x / (1 - 0.9 ** step) / (Math.sqrt(nu[part][i]![j]! / (1 - 0.999 ** step)) + 1e-8)),
      );
      if (part === "kernel") {
        const direction = blocks.flatMap(({ from, to, roots }) =>
          product(product(roots[0], mu.kernel.slice(from, to)), roots[1]),
        );
        update = add(direction, norm(update) / norm(direction), direction, 0);
        for (const block of blocks) {
          const own = g.slice(block.from, block.to);
          block.left = add(block.left, 0.999, product(own, transposed(own)), 0.001);
          block.right = add(block.right, 0.999, product(transposed(own), own), 0.001);
          if (step % EVERY === 0) block.roots = [exactRoot(block.left), exactRoot(block.right)];
        }
      }
      const decay = part === "kernel" ? SETTINGS.weightDecay : 0;
      params[part] = add(params[part], 1 - decay, update, -SETTINGS.learningRate);
    }
  }
  return params;
}

/** The same steps as training takes them: a captured step, and roots between some. */
function captured() {
  const rule = shampoo({ blockSize: BLOCK, rootsEverySteps: EVERY });
  const weights = {
    "conv/kernel": { shape: [1, 2, 3, COLUMNS], values: Float32Array.from(START.kernel.flat()) },
    "conv/bias": { shape: [COLUMNS], values: Float32Array.from(START.bias.flat()) },
  };
  const names = Object.keys(weights);
  const state = { ...weights, ...firstSlots(rule, weights, names) };
  const update = captureStep({
    inputs: {
      "conv/kernel": { shape: [1, 2, 3, COLUMNS], dtype: "float32" },
      "conv/bias": { shape: [COLUMNS], dtype: "float32" },
      step: { shape: [], dtype: "float32" },
    },
    state,
    fn: ({ step, ...grads }, now) => {
      const after = optimizerUpdate({
        ...{ rule, grads, slots: now, step: step as tf.Scalar, multiplier: tf.scalar(1) },
        params: Object.fromEntries(names.map((name) => [name, now[name]!])),
        decays: /.*\/kernel$/,
        ...SETTINGS,
      });
      return { outputs: { norm: after.updateNorm }, state: { ...after.params, ...after.slots } };
    },
  });
  const shapes = Object.fromEntries(Object.entries(state).map(([name, { shape }]) => [name, shape]));
  const takeRoots = rootsBetweenSteps(update, shapes, rule.roots!);
  for (let step = 1; step <= STEPS; step++) {
    const { kernel, bias } = gradientsOf(step);
    update.run({
      "conv/kernel": Float32Array.from(kernel.flat()),
      "conv/bias": Float32Array.from(bias.flat()),
      step: Float32Array.of(step),
    });
    takeRoots(step);
  }
  return update.readState();
}

test("seven steps in blocks, with roots every second step, are those of a float64 computation", () => {
  const [ours, exact] = [captured(), reference()];
  for (const part of ["kernel", "bias"] as const) {
    const moved = norm(exact[part].map((row, i) => row.map((x, j) => x - START[part][i]![j]!)));
    const wanted = exact[part].flat();
    const error = Math.hypot(...wanted.map((x, i) => x - ours[`conv/${part}`]![i]!));
    expect(error / moved).toBeLessThan(part === "bias" ? 1e-5 : 2e-3);
  }
  expect(ours).not.toHaveProperty("left/conv/bias");
});
