import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startFunmatch, temporaryFolder, writeRunConfig, writeTeacherWeights } from "../e2e/services.ts";

/** A run from labels, which needs no teacher; answers how it ended and its folder. */
async function trainFromLabels(folder: string, more: object = {}) {
  const path = writeRunConfig(folder, {
    run: "run",
    data: { train: { fashion: "validation" } },
    design: "labels",
    student: { model: "bit", blocks: [1], width: 0.5, resolution: 16 },
    batch: 8,
    length: { steps: 4 },
    optimizer: { learningRate: 1e-3 },
    checkpoint: { everySteps: 1 },
    workers: 1,
    threads: 1,
    ...more,
  });
  const { code, output } = await startFunmatch(["train", path]).finished;
  return { code, output, checkpoints: join(folder, "run", "checkpoints") };
}

test("numbers that are none stop a run before they reach a checkpoint", async () => {
  const { code, output, checkpoints } = await trainFromLabels(temporaryFolder("diverges"), {
    optimizer: { learningRate: 1e30 },
  });
  expect(code, output).toBe(2);
  expect(output).toMatch(/^funmatch: updateNorm became \w+ at step 1: lower optimizer.learningRate/m);
  expect(readdirSync(checkpoints)).toEqual([]);
});

test("a warm-up longer than the run is refused before a step, and mended in the same folder", async () => {
  const folder = temporaryFolder("warmup");
  const refused = await trainFromLabels(folder, { schedule: { warmupSteps: 100 } });
  expect(refused.code, refused.output).toBe(2);
  expect(refused.output).toContain("100 steps of warm-up leave nothing of a run of 4");
  const mended = await trainFromLabels(folder, { schedule: { warmupSteps: 1 } });
  expect(mended.code, mended.output).toBe(0);
  expect(existsSync(join(folder, "run", "summary.json"))).toBe(true);
});

test.each([
  ["shampoo", { optimizer: { kind: "shampoo", learningRate: 1e-3, rootsEverySteps: 2 } }],
  ["sgd", { optimizer: { kind: "sgd", learningRate: 0.05, nesterov: true } }],
  [
    "a frozen root, in micro-batches",
    { optimizer: { learningRate: 1e-3, freeze: "root_block/.*" }, accumulate: 4 },
  ],
  ["bfloat16", { compute: "bfloat16" }],
])(
  "a run goes on from a checkpoint bit for bit: %s",
  async (_, more) => {
    const folder = temporaryFolder("optimizer-state");
    const first = await trainFromLabels(folder, more);
    expect(first.code, first.output).toBe(0);
    const last = join(first.checkpoints, "step-000000004");
    const wanted = readFileSync(join(last, "state.npz"));
    rmSync(last, { recursive: true });
    const again = await trainFromLabels(folder, more);
    expect(again.code, again.output).toBe(0);
    expect(readFileSync(join(last, "state.npz")).equals(wanted)).toBe(true);
  },
  60_000,
);

test("a freeze pattern that matches nothing is told in one line", async () => {
  const optimizer = { learningRate: 1e-3, freeze: "root" };
  const { code, output } = await trainFromLabels(temporaryFolder("freeze"), { optimizer });
  expect(code, output).toBe(2);
  expect(output).toMatch(/^funmatch: optimizer.freeze: "root" matches none of the student's parameters/);
});

test("weights to begin from: what does not fit is told in one line; a resumed run needs them no more", async () => {
  const folder = temporaryFolder("init");
  const init = join(folder, "weights.npz");
  const student = { model: "bit", blocks: [1], width: 0.5, resolution: 16, init };
  const missing = await trainFromLabels(folder, { student });
  expect(missing.output).toBe(`funmatch: there is no file ${init}\n`);
  await writeTeacherWeights(init, { blocks: [1, 1], width: 0.5, classes: 10 });
  const unlike = await trainFromLabels(folder, { student });
  expect(unlike.output).toContain(
    "holds blocks [1, 1], width 0.5, but the student has blocks [1], width 0.5",
  );
  expect(unlike.output).not.toContain("at ");
  expect(unlike.code).toBe(2);
  await writeTeacherWeights(init, { blocks: [1], width: 0.5, classes: 10 });
  const begun = await trainFromLabels(folder, { student });
  expect(begun.code, begun.output).toBe(0);
  rmSync(init);
  const again = await trainFromLabels(folder, { student });
  expect(again.code, again.output).toBe(0);
}, 120_000);

test("SIGINT while the teacher is waited for ends a run that has not begun", async () => {
  const path = writeRunConfig(temporaryFolder("waits"), {
    run: "run",
    data: { train: { fashion: "validation" } },
    teachers: [{ url: "http://127.0.0.1:9/v1/models/prof" }],
    design: "funmatch",
    student: { model: "bit", blocks: [1], width: 0.5, resolution: 16 },
    batch: 8,
    length: { steps: 4 },
    optimizer: { learningRate: 1e-3 },
  });
  const { child, finished } = startFunmatch(["train", path]);
  child.stderr?.once("data", () => child.kill("SIGINT"));
  const { code, output } = await finished;
  expect(code, output).toBe(0);
  expect(output).toMatch(/ECONNREFUSED.*; try 2 of 5 follows\n(.*\n)?interrupted.*the same command goes on/);
});
