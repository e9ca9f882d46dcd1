import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readNpz } from "@funmatch/models";
import sharp from "sharp";
import { beforeAll, expect, test } from "vitest";
import { startFunmatch, temporaryFolder, writeRunConfig } from "../e2e/services.ts";

const killBeforeRename = fileURLToPath(new URL("../e2e/kill-before-rename.ts", import.meta.url));

/** Pictures of other classes than the student's, for a probe: light and dark ones. */
async function lightAndDark(folder: string): Promise<string> {
  const place = join(folder, "light-and-dark");
  for (const [name, level] of [["dark", 40] as const, ["light", 210] as const]) {
    mkdirSync(join(place, name), { recursive: true });
    for (let i = 0; i < 6; i++) {
      const background = { r: level + i, g: level, b: level - i };
      const picture = sharp({ create: { width: 20, height: 20, channels: 3, background } });
      await picture.png().toFile(join(place, name, `${i}.png`));
    }
  }
  return place;
}

/** A run from labels that learns too fast, so that its last step is not its best. */
async function bestRun() {
  const folder = temporaryFolder("best");
  const real = join(folder, "real.json");
  writeFileSync(real, JSON.stringify(Array.from({ length: 2000 }, (_, i) => (i % 4 ? [i % 10, 3] : []))));
  const place = await lightAndDark(folder);
  const config = writeRunConfig(folder, {
    run: "run",
    data: {
      train: { fashion: "validation", split: "[:50%]" },
      validation: { fashion: "validation", split: "[50%:]" },
      test: { fashion: "test" },
      real: { fashion: "test", labels: real },
      glances: { folder: place, split: "[:50%]" },
      stares: { folder: place, split: "[50%:]" },
    },
    design: "labels",
    student: { model: "bit", blocks: [1], width: 0.5, resolution: 16 },
    batch: 16,
    length: { steps: 14 },
    optimizer: { learningRate: 0.03 },
    evaluate: {
      everySteps: 2,
      splits: ["validation"],
      batch: 200,
      best: { split: "validation" },
      probes: [
        { on: "validation", shots: [1, 3], draws: 2 },
        { from: "glances", on: "stares", shots: [2], draws: 1 },
      ],
    },
    checkpoint: { everySteps: 5 },
    log: { everySteps: 1 },
    workers: 1,
    threads: 1,
  });
  return { config, run: join(folder, "run") };
}

const json = (...path: string[]) => JSON.parse(readFileSync(join(...path), "utf8"));
const metricsOf = (run: string) =>
  readFileSync(join(run, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

/** What must not depend on interruptions. */
function outcome(run: string) {
  const { step, stateSha256, best } = json(run, "checkpoints", "best", "checkpoint.json");
  const { seconds, imagesPerSecond, waitingForTeacher, ...summary } = json(run, "summary.json");
  const metrics = metricsOf(run).filter((line) => "split" in line || "probe" in line);
  return { kept: { step, stateSha256, best }, summary, metrics };
}

let calm: Awaited<ReturnType<typeof bestRun>>;
beforeAll(async () => {
  calm = await bestRun();
  const { code, output } = await startFunmatch(["train", calm.config]).finished;
  expect(code, output).toBe(0);
}, 120_000);

test("the best step's checkpoint is kept, its figures are told, and test images chose nothing", () => {
  const { best, student, probes } = json(calm.run, "summary.json");
  const lines = metricsOf(calm.run).filter(({ split }) => split === "validation");
  expect(lines.map(({ step }) => step)).toEqual([2, 4, 6, 8, 10, 12, 14]);
  const highest = Math.max(...lines.map(({ accuracy }) => accuracy));
  const first = lines.find(({ accuracy }) => accuracy === highest);
  expect(best).toMatchObject({ split: "validation", metric: "accuracy", step: first.step, value: highest });
  expect(best.step).toBeLessThan(14);
  expect(best.accuracy.validation).toBe(highest);
  expect(best.accuracy.test).not.toBe(student.accuracy.test);
  const kept = json(calm.run, "checkpoints", "best", "checkpoint.json");
  expect(kept).toMatchObject({ step: best.step, parametersSha256: best.parametersSha256 });
  const described = readFileSync(join(calm.run, "ledger.jsonl"), "utf8")
    .split("\n")
    .filter((line) => line.startsWith(`{"step":${best.step},`));
  expect(described.join()).toContain(best.parametersSha256);
  expect(probes).toMatchObject([
    { on: "validation", from: "train", shots: [{ shots: 1 }, { shots: 3 }] },
    { on: "stares", from: "glances", shots: [{ shots: 2, accuracy: 1, accuracies: [1] }] },
  ]);
});

test("splits that are not named are evaluated at the end alone, those of other classes only probed", async () => {
  const { student } = json(calm.run, "summary.json");
  expect(Object.keys(student.accuracy)).toEqual(["validation", "test", "real"]);
  const lines = metricsOf(calm.run);
  expect(lines.filter(({ split }) => split === "test").map(({ step }) => step)).toEqual([14]);
  expect(lines.filter((line) => "probe" in line).map(({ probe, step }) => [probe, step])).toEqual([
    ["validation", 14],
    ["stares", 14],
  ]);
  const real = await readNpz(join(calm.run, "predictions-real.npz"));
  const [logits, answers] = [real.get("student")!, real.get("answers")!];
  expect(answers.shape).toEqual([2000, 2]);
  let [counted, right] = [0, 0];
  for (let i = 0; i < 2000; i++) {
    if (i % 4 === 0) continue;
    const row = [...(logits.data as Float32Array).subarray(i * 10, (i + 1) * 10)];
    counted++;
    if ([i % 10, 3].includes(row.indexOf(Math.max(...row)))) right++;
  }
  expect(student.accuracy.real).toBeCloseTo(right / counted, 12);
});

test("eval looks at the best checkpoint, or at one split, and leaves the run's results alone", async () => {
  const before = readFileSync(join(calm.run, "summary.json"), "utf8");
  const { best } = JSON.parse(before);
  const args = ["eval", calm.run, "--checkpoint", "best", "--split", "test", "--split", "validation"];
  const { code, output } = await startFunmatch(args).finished;
  expect(code, output).toBe(0);
  const found = JSON.parse(output.slice(output.indexOf("{")));
  expect(found).toMatchObject({ step: best.step, parametersSha256: best.parametersSha256 });
  expect(Object.keys(found.splits)).toEqual(["test", "validation"]);
  for (const split of ["test", "validation"])
    expect(found.splits[split]).toMatchObject({
      accuracy: best.accuracy[split],
      accuracyTop5: best.accuracyTop5[split],
    });
  expect(readdirSync(join(calm.run, "evaluation-best")).sort()).toEqual([
    "predictions-test.npz",
    "predictions-validation.npz",
  ]);
  expect(readFileSync(join(calm.run, "summary.json"), "utf8")).toBe(before);

  const refused = async (...options: string[]) =>
    (await startFunmatch(["eval", calm.run, ...options]).finished).output;
  expect(await refused("--split", "vaildation")).toMatch(
    /^funmatch: .* has no split vaildation: its data has/,
  );
  expect(await refused("--checkpoint", "3")).toMatch(/^funmatch: there is no checkpoint step-000000003 in/);
  expect(await refused("--split", "stares")).toContain("stares has other classes than the student");
}, 120_000);

test("eval without options evaluates the newest again, to the same end", async () => {
  const before = outcome(calm.run);
  const { code, output } = await startFunmatch(["eval", calm.run]).finished;
  expect(code, output).toBe(0);
  expect(outcome(calm.run)).toEqual(before);
}, 60_000);

test("an audit finds the best checkpoint in the ledger, and finds another in its place", async () => {
  const fine = await startFunmatch(["audit", calm.run, "--sample", "2"]).finished;
  expect(fine.code, fine.output).toBe(0);
  expect(fine.output).toMatch(/best checkpoint +passed +it holds what the ledger recorded at step \d+/);
  const kept = join(calm.run, "checkpoints", "best");
  renameSync(kept, `${kept}.away`);
  const newest = readdirSync(join(calm.run, "checkpoints"))
    .filter((name) => name.startsWith("step-"))
    .sort()
    .at(-1)!;
  cpSync(join(calm.run, "checkpoints", newest), kept, { recursive: true });
  const swapped = await startFunmatch(["audit", calm.run, "--sample", "1"]).finished;
  rmSync(kept, { recursive: true });
  renameSync(`${kept}.away`, kept);
  expect(swapped.code, swapped.output).toBe(1);
  expect(swapped.output).toMatch(/best checkpoint +FAILED +it is not what the ledger recorded/);
}, 60_000);

test("a run killed between a checkpoint and its being kept as the best, and later, ends as an undisturbed one", async () => {
  const { config, run } = await bestRun();
  for (const at of [2, 2, 5]) {
    const { signal, output } = await startFunmatch(["train", config], {
      preload: [killBeforeRename],
      env: { FUNMATCH_TEST_KILL_AT_RENAME: String(at) },
    }).finished;
    expect(signal, output).toBe("SIGKILL");
    expect(existsSync(join(run, "summary.json"))).toBe(false);
  }
  const { code, output } = await startFunmatch(["train", config]).finished;
  expect(code, output).toBe(0);
  expect(outcome(run)).toEqual(outcome(calm.run));
}, 180_000);
