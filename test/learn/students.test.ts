import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadEngine } from "@funmatch/engine";
import { isStatistic, type NetworkConfig, networkOf, readNpz, writeNpz } from "@funmatch/models";
import { beforeAll, describe, expect, test } from "vitest";
import { type StudentInit, start } from "../../student-trainer/learn/student-worker.ts";
import { startFunmatch, temporaryFolder, writeRunConfig } from "../e2e/services.ts";
import { numbers } from "../engine/both-ways.ts";

beforeAll(async () => {
  await loadEngine();
});

const BATCH = 4;
const SIDE = 32;
const CLASSES = 3;

const MODELS: NetworkConfig[] = [
  { kind: "bit", blocks: [1], width: 0.5, classes: CLASSES },
  { kind: "mobilenetv3", size: "small", width: 0.25, momentum: 0.9, classes: CLASSES },
  {
    ...{ kind: "vit", width: 32, depth: 2, mlp: 64, heads: 2, patch: 8 },
    ...{ positions: "learn", pool: "map", image: [SIDE, SIDE], classes: CLASSES },
  },
];

function initOf(model: NetworkConfig, more: Partial<StudentInit> = {}): StudentInit {
  return {
    ...{ model, resolution: SIDE, batch: BATCH, evaluationBatch: 2, seed: 1 },
    ...{ teaching: "logits", distance: { kind: "kl", temperature: 2 }, accumulate: 1 },
    optimizer: {
      ...{ kind: "adam", learningRate: 1e-2, weightDecay: 1e-4, decay: ".*/kernel$", clip: 1 },
      firstMoment: "float32",
    },
    ...more,
  };
}

function pictures(seed: number, count: number): Uint8Array {
  return Uint8Array.from(numbers(seed, count * SIDE * SIDE * 3), (u) => Math.floor((u + 1) * 128));
}

/** A batch of its own for each step, with a teacher's logits. */
function request(step: number) {
  const targets = numbers(1000 + step, BATCH * CLASSES).map((u) => 3 * u);
  return { images: pictures(step, BATCH), targets, step, multiplier: 1 };
}

describe.each(MODELS)("a student that is a $kind", (model) => {
  test("goes on from a checkpoint bit for bit, evaluations in between or not", async () => {
    const directory = temporaryFolder("students");
    const straight = await start(initOf(model));
    const first = straight.step(request(1));
    straight.step(request(2));
    const stateFile = join(directory, "state.npz");
    await straight.save({ path: stateFile });
    const wanted = [straight.step(request(3)), straight.step(request(4))];
    for (const { loss } of [first, ...wanted]) expect(loss).toBeGreaterThan(0);

    const resumed = await start(initOf(model, { stateFile }));
    resumed.forward({ images: pictures(50, 2) });
    const third = resumed.step(request(3));
    resumed.forward({ images: pictures(50, 2) });
    expect([third, resumed.step(request(4))]).toEqual(wanted);
    const ends = await Promise.all(
      [straight, resumed].map((one, i) => one.save({ path: join(directory, `end-${i}.npz`) })),
    );
    expect(ends[0]).toEqual(ends[1]);
    const images = pictures(51, 2);
    expect(resumed.forward({ images })).toEqual(straight.forward({ images }));

    const losses = Array.from({ length: 40 }, (_, i) => straight.step({ ...request(1), step: i + 5 }).loss);
    expect(losses.at(-1)!, "a batch is learned by heart").toBeLessThan(first.loss / 2);
  }, 120_000);
});

test("running statistics move with every step, are in checkpoint and export, and are no trained parameters", async () => {
  const directory = temporaryFolder("statistics");
  const model = MODELS[1]!;
  const shapes = networkOf(model).shapes();
  const student = await start(initOf(model));
  const images = pictures(60, 2);
  const before = student.forward({ images });
  student.step(request(1));
  // A head that was zero, and statistics that were a standard normal's, are no more.
  expect(student.forward({ images })).not.toEqual(before);

  const [state, exported] = ["state.npz", "student.npz"].map((name) => join(directory, name));
  await student.save({ path: state! });
  await student.exportWeights({ path: exported! });
  const saved = await readNpz(state!);
  const names = Object.keys(shapes);
  const statistics = names.filter(isStatistic);
  expect([...(await readNpz(exported!)).keys()].sort()).toEqual([...names].sort());
  for (const name of statistics) {
    const fresh = name.endsWith("/mean") ? 0 : 1;
    expect(
      saved.get(`params/${name}`)!.data.some((value) => value !== fresh),
      name,
    ).toBe(true);
    expect(saved.has(`mu/${name}`), name).toBe(false);
  }
  const trained = names.filter((name) => !isStatistic(name));
  expect(saved.size).toBe(names.length + 2 * trained.length);
  const count = trained.reduce((sum, name) => sum + shapes[name]!.reduce((a, b) => a * b), 0);
  expect(student.describe({}).parameters).toBe(count);

  const begun = await start(initOf(model, { initFile: exported! }));
  expect(begun.describe({})).toEqual(student.describe({}));
  expect(begun.forward({ images })).toEqual(student.forward({ images }));
}, 120_000);

test("weights to begin from: another head is replaced, another network is refused by name", async () => {
  const directory = temporaryFolder("begin");
  const model = MODELS[2]!;
  const initFile = join(directory, "student.npz");
  const student = await start(initOf({ ...model, classes: 5 }));
  await student.exportWeights({ path: initFile });
  const begun = await start(initOf(model, { initFile }));
  const zero = new Float32Array(2 * CLASSES);
  expect(begun.forward({ images: pictures(60, 2) }).logits).toEqual(zero);

  await expect(start(initOf(MODELS[1]!, { initFile }))).rejects.toThrow(
    /student\.npz: the student needs conv\/kernel, which is not there/,
  );
  const bent = Object.fromEntries(await readNpz(initFile));
  bent["embedding/bias"] = { dtype: "float32", shape: [16, 2], data: new Float32Array(32) };
  await writeNpz(initFile, bent);
  await expect(start(initOf(model, { initFile }))).rejects.toThrow(
    /embedding\/bias has shape \[16,2\], the student needs \[32\]/,
  );
});

const mobile = { model: "mobilenetv3", size: "small", width: 0.25, momentum: 0.5, resolution: 32 };
const transformer = {
  model: "vit",
  size: "Ti",
  patch: 16,
  pool: "tok",
  positions: "sincos2d",
  resolution: 32,
};

test.each([
  { student: mobile, sittings: ["first", "again"] },
  { student: transformer, sittings: ["only"] },
])(
  "funmatch train with a $student.model: trains, evaluates, goes on, exports",
  async ({ student, sittings }) => {
    const folder = temporaryFolder("student-run");
    const config = {
      run: "run",
      data: { train: { fashion: "validation" }, validation: { fashion: "validation" } },
      design: "labels",
      ...{ student, batch: 8, length: { steps: 3 } },
      optimizer: { learningRate: 1e-3 },
      evaluate: { everySteps: 2, splits: ["validation"], batch: 500 },
      ...{ workers: 1, threads: 1 },
    };
    const path = writeRunConfig(folder, config);
    for (const sitting of sittings) {
      const { code, output } = await startFunmatch(["train", path]).finished;
      expect(code, `${sitting}: ${output}`).toBe(0);
    }
    const summary = JSON.parse(readFileSync(join(folder, "run", "summary.json"), "utf8"));
    expect(summary.steps).toBe(3);
    expect(summary.student.accuracy.validation).toBeGreaterThanOrEqual(0);
    const exported = await readNpz(join(folder, "run", "student.npz"));
    expect(exported.get("head/bias")!.shape).toEqual([10]);
  },
  120_000,
);
