import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadEngine } from "@funmatch/engine";
import { beforeAll, describe, expect, test } from "vitest";
import { writeCheckpoint } from "../../student-trainer/learn/checkpoint.ts";
import type { StudentModel } from "../../student-trainer/learn/student-network.ts";
import { type StudentInit, start } from "../../student-trainer/learn/student-worker.ts";
import { temporaryFolder } from "../e2e/services.ts";
import { numbers } from "../engine/both-ways.ts";

beforeAll(async () => {
  await loadEngine();
});

const [BATCH, SIDE, CLASSES] = [2, 32, 3];

/** An own network as small as one can be. */
function ownFile(): string {
  const file = join(temporaryFolder("given-own"), "net.js");
  writeFileSync(
    file,
    `export const init = ({ classes, normal }) => ({
      "head/kernel": { shape: [3, classes], values: normal("head/kernel", 3 * classes) },
      "head/bias": { shape: [classes], values: new Float32Array(classes) },
      "lift/kernel": { shape: [3, 3], values: normal("lift/kernel", 9) },
    });
    export const apply = (p, x, { tf }) =>
      tf.add(tf.matMul(tf.matMul(tf.mean(x, [1, 2]), p["lift/kernel"]), p["head/kernel"]), p["head/bias"]);`,
  );
  return file;
}

const MODELS: StudentModel[] = [
  { kind: "bit", blocks: [1], width: 0.5, classes: CLASSES },
  { kind: "mobilenetv3", size: "small", width: 0.1, momentum: 0.9, classes: CLASSES },
  {
    ...{ kind: "vit", width: 16, depth: 1, mlp: 32, heads: 2, patch: 16 },
    ...{ positions: "learn", pool: "tok", image: [SIDE, SIDE], classes: CLASSES },
  },
  { kind: "module", file: ownFile(), resolution: SIDE, options: {}, classes: CLASSES },
];

function initOf(model: StudentModel, more: Partial<StudentInit> = {}): StudentInit {
  return {
    ...{ model, resolution: SIDE, batch: BATCH, evaluationBatch: BATCH, seed: 1, accumulate: 1 },
    ...{ teaching: "logits", distance: { kind: "kl", temperature: 1 }, compute: "float32" },
    optimizer: {
      ...{ kind: "sgd", learningRate: 0.1, weightDecay: 0, decay: ".*/kernel$", clip: 1 },
      ...{ momentum: 0.9, nesterov: false },
    },
    ...more,
  };
}

const images = Uint8Array.from(numbers(7, BATCH * SIDE * SIDE * 3), (u) => Math.floor((u + 1) * 128));

/** A run's folder whose newest checkpoint is of a student after `steps` steps. */
async function runOf(model: StudentModel, steps: number) {
  const student = await start(initOf(model));
  const run = temporaryFolder("given-run");
  const targets = numbers(8, BATCH * model.classes);
  for (let step = 1; step <= steps; step++) student.step({ images, targets, step, multiplier: 1 });
  const standing = {
    ...{ step: steps, order: { seed: 0, batch: BATCH, examplesSeen: 0 }, evaluatedStep: 0, dataDigest: "" },
    ...{ metricsBytes: 0, ledgerBytes: 0, ledgerChain: "0".repeat(64), verifiedSteps: 0 },
    ...{ trainingSeconds: 0, waitingSeconds: 0, cacheHits: 0, cacheMisses: 0 },
  };
  await writeCheckpoint(join(run, "checkpoints"), standing, (path) => student.save({ path }), { keep: 2 });
  return { run, student };
}

describe.each(MODELS)("a $kind begins", (model) => {
  test("from another run, from one of its checkpoints, from that checkpoint's file", async () => {
    const { run, student } = await runOf(model, 2);
    const wanted = student.describe({});
    const checkpoint = join(run, "checkpoints", "step-000000002");
    for (const initFile of [run, checkpoint, join(checkpoint, "state.npz")])
      expect((await start(initOf(model, { initFile }))).describe({}), initFile).toEqual(wanted);
    expect(wanted).not.toEqual((await start(initOf(model))).describe({}));
  }, 60_000);

  test("with a fresh head where the classes are others", async () => {
    const { run } = await runOf({ ...model, classes: 5 }, 2);
    const [begun, fresh] = [await start(initOf(model, { initFile: run })), await start(initOf(model))];
    const [logits, atFirst] = [begun.forward({ images }).logits, fresh.forward({ images }).logits];
    expect(logits.length).toBe(BATCH * CLASSES);
    expect(begun.describe({})).not.toEqual(fresh.describe({}));
    // The built-in heads begin at zero.
    if (model.kind !== "module" && model.kind !== "mobilenetv3") expect(logits).toEqual(atFirst);
  }, 60_000);

  test("but not from another network", async () => {
    const other = MODELS[model.kind === "bit" ? 2 : 0]!;
    const { run } = await runOf(other, 1);
    const begun = start(initOf(model, { initFile: run }));
    await expect(begun).rejects.toThrow(
      /state\.npz: (not a BiT model|the student needs [\w/]+, which is not|head\/kernel has shape)/,
    );
  }, 60_000);
});

describe("what is not there to begin from is told in one line:", () => {
  test("a run without a checkpoint, and a folder that is no run", async () => {
    const folder = temporaryFolder("given-nothing");
    const begin = (initFile: string) => start(initOf(MODELS[0]!, { initFile }));
    await expect(begin(folder)).rejects.toThrow(
      /^student\.init: .* is no run, no checkpoint and no \.npz file$/,
    );
    mkdirSync(join(folder, "checkpoints"));
    await expect(begin(folder)).rejects.toThrow(/^student\.init: .* has no checkpoint yet$/);
    await expect(begin(join(folder, "none.npz"))).rejects.toThrow(/^there is no file .*none\.npz$/);
  });

  test("a damaged checkpoint", async () => {
    const { run } = await runOf(MODELS[3]!, 1);
    writeFileSync(join(run, "checkpoints", "step-000000001", "state.npz"), "not these");
    await expect(start(initOf(MODELS[3]!, { initFile: run }))).rejects.toThrow(
      /no checkpoint in .* is whole/,
    );
  });
});
