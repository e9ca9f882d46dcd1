import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadEngine } from "@funmatch/engine";
import type { NetworkConfig } from "@funmatch/models";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { fasterCompute } from "../../student-trainer/learn/fastest-compute.ts";
import { type StudentInit, start } from "../../student-trainer/learn/student-worker.ts";
import { startFunmatch, temporaryFolder, writeRunConfig } from "../e2e/services.ts";
import { numbers } from "../engine/both-ways.ts";

beforeAll(async () => {
  await loadEngine();
});

const [CLASSES, STEPS] = [5, 20];

interface Task {
  model: NetworkConfig;
  batch: number;
  resolution: number;
  learningRate: number;
}

const BIT: Task = {
  model: { kind: "bit", blocks: [1, 1], width: 0.5, classes: CLASSES },
  ...{ batch: 8, resolution: 32, learningRate: 3e-3 },
};
/** BatchNorm over few values would make much of little. */
const MOBILE: Task = {
  model: { kind: "mobilenetv3", size: "small", width: 0.1, momentum: 0.9, classes: CLASSES },
  ...{ batch: 16, resolution: 64, learningRate: 1e-3 },
};
const TRANSFORMER: Task = {
  model: {
    ...{ kind: "vit", width: 32, depth: 2, mlp: 64, heads: 2, patch: 8 },
    ...{ positions: "learn", pool: "gap", image: [32, 32], classes: CLASSES },
  },
  ...{ batch: 8, resolution: 32, learningRate: 3e-3 },
};

function pictures(seed: number, { batch, resolution }: Task): Uint8Array {
  return Uint8Array.from(numbers(seed, batch * resolution ** 2 * 3), (u) => Math.floor((u + 1) * 128));
}

/** 20 steps over four batches, then the logits of the first. */
async function trained(task: Task, compute: StudentInit["compute"], accumulate = 1) {
  const { model, batch, resolution, learningRate } = task;
  const student = await start({
    ...{ model, resolution, batch, evaluationBatch: batch, seed: 1 },
    ...{ teaching: "logits", distance: { kind: "kl", temperature: 2 }, accumulate, compute },
    optimizer: {
      ...{ kind: "adam", learningRate, weightDecay: 1e-4, decay: ".*/kernel$", clip: 1 },
      firstMoment: "float32",
    },
  });
  const losses = Array.from({ length: STEPS }, (_, i) => {
    const targets = numbers(1000 + (i % 4), batch * CLASSES).map((u) => 3 * u);
    return student.step({ images: pictures(i % 4, task), targets, step: i + 1, multiplier: 1 }).loss;
  });
  return { losses, logits: student.forward({ images: pictures(0, task) }), student };
}

describe.each([BIT, MOBILE, TRANSFORMER])("a $model.kind in bfloat16", (task) => {
  test("learns as in float32, to the precision of bfloat16", async () => {
    const [exact, rounded] = [await trained(task, "float32"), await trained(task, "bfloat16")];
    expect(rounded.losses.at(-1)!).toBeLessThan(0.7 * rounded.losses[0]!);
    const apart = rounded.losses.map((loss, i) => Math.abs(loss - exact.losses[i]!) / exact.losses[0]!);
    expect(Math.max(...apart)).toBeLessThan(0.05);
    expect(Math.max(...apart), "something is rounded").toBeGreaterThan(1e-6);
  }, 60_000);
});

test("the forward pass of evaluation is computed as that of training", async () => {
  const directory = temporaryFolder("compute");
  const { student } = await trained(BIT, "float32");
  const initFile = join(directory, "student.npz");
  await student.exportWeights({ path: initFile });
  const logits = async (compute: StudentInit["compute"]) => {
    const optimizer = { kind: "sgd", learningRate: 1, weightDecay: 0, decay: ".*", clip: 1 } as const;
    const begun = await start({
      ...{ model: BIT.model, resolution: 32, batch: 8, evaluationBatch: 8, seed: 1, initFile },
      ...{ teaching: "logits", distance: { kind: "l2" }, accumulate: 1, compute },
      optimizer: { ...optimizer, momentum: 0, nesterov: false },
    });
    return begun.forward({ images: pictures(0, BIT) }).logits;
  };
  const [exact, rounded] = [await logits("float32"), await logits("bfloat16")];
  expect(exact).toEqual(student.forward({ images: pictures(0, BIT) }).logits);
  const largest = Math.max(...exact.map(Math.abs));
  const apart = Math.max(...exact.map((x, i) => Math.abs(x - rounded[i]!))) / largest;
  expect(apart).toBeLessThan(0.05);
  expect(apart).toBeGreaterThan(1e-6);
  // The head's sums keep all bits of float32: not all logits are numbers of 8 bits.
  expect(rounded.some((x) => new Uint32Array(Float32Array.of(x).buffer)[0]! & 0xffff)).toBe(true);
}, 60_000);

describe("compute: auto", () => {
  test("takes bfloat16 where it is faster by more than five per cent", () => {
    expect(fasterCompute({ float32: 100, bfloat16: 94 })).toBe("bfloat16");
    expect(fasterCompute({ float32: 100, bfloat16: 96 })).toBe("float32");
    expect(fasterCompute({ float32: 100, bfloat16: 180 })).toBe("float32");
  });

  test.each([1, 2])(
    "measures both and leaves the student as it was begun: %d micro-batches",
    async (parts) => {
      const auto = await trained(BIT, "auto", parts);
      const { compute, times } = auto.student.compute({});
      expect(times!.float32).toBeGreaterThan(0);
      expect(times!.bfloat16).toBeGreaterThan(0);
      expect(compute).toBe(fasterCompute(times!));
      expect((await trained(BIT, compute, parts)).losses).toEqual(auto.losses);
    },
    60_000,
  );

  test("is settled in the first sitting, written into the run, and kept by the next", async () => {
    const folder = temporaryFolder("auto");
    const path = writeRunConfig(folder, {
      ...{ run: "run", data: { train: { fashion: "validation" } }, design: "labels", batch: 8 },
      student: { model: "bit", blocks: [1], width: 0.5, resolution: 16 },
      ...{ length: { steps: 2 }, optimizer: { learningRate: 1e-3 }, compute: "auto" },
      ...{ workers: 1, threads: 1 },
    });
    const first = await startFunmatch(["train", path]).finished;
    expect(first.code, first.output).toBe(0);
    const [, chosen] = /compute: (\w+) \(a step takes \d+ ms in float32, \d+ ms in bfloat16\)/.exec(
      first.output,
    )!;
    const written = () => parse(readFileSync(join(folder, "run", "config.yaml"), "utf8")).compute;
    expect(written()).toBe(chosen);
    const again = await startFunmatch(["train", path]).finished;
    expect(again.code, again.output).toBe(0);
    expect(again.output).not.toContain("compute:");
    expect(written()).toBe(chosen);
    const other = chosen === "float32" ? "bfloat16" : "float32";
    const refused = await startFunmatch(["train", path, "--set", `compute=${other}`]).finished;
    expect(refused.output).toMatch(/is of a run with other compute: change it back to go on/);
  }, 60_000);
});
