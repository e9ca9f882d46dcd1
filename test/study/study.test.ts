import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { combinations } from "../../student-trainer/study/cells.ts";
import { readStudyConfig } from "../../student-trainer/study/study-config.ts";
import { startFunmatch, temporaryFolder, writeTeacherWeights } from "../e2e/services.ts";

const folder = temporaryFolder("study");
const split = "[:32]";
const BASE = {
  run: "unused",
  data: { train: { fashion: "train", split }, validation: { fashion: "validation", split } },
  teachers: [{ file: "teacher.npz", resolution: 16, valueRange: [-1, 1] }],
  design: "funmatch",
  student: { model: "bit", blocks: [1], width: 0.5, resolution: 16 },
  batch: 8,
  length: { steps: 6 },
  optimizer: { learningRate: 1e-3 },
  evaluate: { everySteps: 3, splits: ["validation"] },
  checkpoint: { everySteps: 2 },
  log: { everySteps: 1, tensorboard: false },
  threads: 1,
};
const GRID = { design: ["funmatch", "labels"], "optimizer.learningRate": [1e-3, 1e-2], seed: [0] };

beforeAll(async () => {
  await writeTeacherWeights(join(folder, "teacher.npz"), { blocks: [1, 1], width: 0.5, classes: 10 });
  writeFileSync(join(folder, "base.yaml"), stringify(BASE));
});

function studyOf(name: string, more: object = {}): string {
  const path = join(folder, `${name}.yaml`);
  const study = {
    ...{ study: name, base: "base.yaml", grid: GRID, parallel: 1 },
    where: [{ when: { design: "labels" }, set: { teachers: [] } }],
    choose: { keys: ["optimizer.learningRate"] },
    ...more,
  };
  writeFileSync(path, stringify(study));
  return path;
}

const runsOf = (name: string) => join(folder, name, "runs");
/** Digests of all students of a study, by run. */
const students = (name: string) =>
  Object.fromEntries(
    readdirSync(runsOf(name)).map((run) => {
      const summary = JSON.parse(readFileSync(join(runsOf(name), run, "summary.json"), "utf8"));
      return [run, summary.student.parametersSha256 as string];
    }),
  );
const locked = (name: string) =>
  readdirSync(runsOf(name)).some((run) => existsSync(join(runsOf(name), run, "lock")));

test("a grid is every combination, and a study names what is wrong in it", () => {
  expect(combinations({ design: ["a", "b"], seed: [0, 1] })).toEqual([
    { design: "a", seed: 0 },
    { design: "a", seed: 1 },
    { design: "b", seed: 0 },
    { design: "b", seed: 1 },
  ]);
  expect(() => readStudyConfig(studyOf("wrong", { lines: "colour" }))).toThrow(
    /lines: colour is not in the grid/,
  );
  expect(() => readStudyConfig(studyOf("wrong", { choose: { keys: ["seed"] } }))).toThrow(
    /choose\.keys: seed/,
  );
  expect(() => readStudyConfig(studyOf("wrong", { gird: {} }))).toThrow(/gird.*grid/);
});

describe("a study that was killed and goes on", () => {
  test("ends as an undisturbed one, and its page tells of every run", async () => {
    const undisturbed = await startFunmatch(["study", studyOf("undisturbed")]).finished;
    expect(undisturbed.code, undisturbed.output).toBe(0);

    const path = studyOf("killed");
    const { child, finished } = startFunmatch(["study", path]);
    const second = "design-funmatch.learningRate-0_01.seed-0";
    const ledger = join(runsOf("killed"), second, "ledger.jsonl");
    await expect.poll(() => existsSync(ledger), { timeout: 60_000, interval: 20 }).toBe(true);
    child.kill("SIGKILL");
    expect((await finished).signal).toBe("SIGKILL");
    await expect.poll(() => locked("killed"), { timeout: 30_000 }).toBe(false); // its run has noticed
    const page = () => readFileSync(join(folder, "killed", "index.html"), "utf8");
    expect(page()).toContain("1 of 4 runs");
    expect(page()).toContain("missing");

    const rest = await startFunmatch(["study", path]).finished;
    expect(rest.code, rest.output).toBe(0);
    expect(students("killed")).toEqual(students("undisturbed"));
    expect(page()).toContain("4 of 4 runs");
    expect(page()).not.toContain("missing");
    expect(page()).toContain(`runs/${second}/report.html`);
    expect(page()).toContain("learningRate 0.0");
    expect(page()).toContain("passed");
    expect(page()).not.toContain("<script");
  }, 480_000);

  test("its plan tells runs, steps and time, and makes none", async () => {
    rmSync(join(folder, "planned"), { recursive: true, force: true });
    const plan = await startFunmatch([
      "study",
      studyOf("planned", { grid: { seed: [0, 1] }, choose: undefined, where: [] }),
      "--plan",
    ]).finished;
    expect(plan.code, plan.output).toBe(0);
    expect(plan.output).toMatch(/2 runs, 0 of them done/);
    expect(plan.output).toMatch(/together 12 steps/);
    expect(existsSync(join(folder, "planned"))).toBe(false);
  }, 120_000);
});

test("a run that fails is told, is no reason to stop, and is tried again", async () => {
  const path = join(folder, "fails.yaml");
  const teachers = [{ file: "nobody.npz", resolution: 16, valueRange: [-1, 1] }];
  writeFileSync(
    path,
    stringify({
      study: "fails",
      base: "base.yaml",
      grid: { batch: [4, 8] },
      where: [{ when: { batch: 4 }, set: { teachers } }],
      parallel: 1,
    }),
  );
  const { code, output } = await startFunmatch(["study", path]).finished;
  expect(code, output).toBe(1);
  expect(output).toMatch(/batch-4 failed: .*nobody\.npz/);
  const page = readFileSync(join(folder, "fails", "index.html"), "utf8");
  expect(page).toContain("1 of 2 runs · 1 failed");
  expect(page).toContain("failed: ");
}, 120_000);
