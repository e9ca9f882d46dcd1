import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadBitWeights, parameterCount } from "@funmatch/models";
import { beforeAll, expect, test } from "vitest";
import { python } from "./python.ts";
import { temporaryFolder } from "./services.ts";

const start = fileURLToPath(new URL("../../start.ts", import.meta.url));
const run = join(temporaryFolder("start"), "run");
let output = "";
let code: number | null = null;

/** `npm start`, but for the length: bundled teacher behind the real gateway, bundled pictures. */
beforeAll(async () => {
  const sets = [
    `run=${run}`,
    "length.steps=30",
    "evaluate.everySteps=15",
    "checkpoint.everySteps=10",
    "schedule.warmupSteps=3",
  ];
  const child = spawn(process.execPath, [start, ...sets.flatMap((set) => ["--set", set])]);
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text) => {
      output += text;
    });
  [code] = await once(child, "close");
}, 180_000);

function summary() {
  return JSON.parse(readFileSync(join(run, "summary.json"), "utf8"));
}

test("ends with a table and a verified run", () => {
  expect(code, output).toBe(0);
  for (const row of [
    "parameters",
    "test accuracy",
    "agreement",
    "KL",
    "images a second",
    "30 of 30",
    "cache hits",
  ])
    expect(output).toContain(row);
  expect(summary()).toMatchObject({ steps: 30, verifiedSteps: 30 });
});

test("the second evaluation is answered by the gateway's cache", () => {
  const { hits, misses } = summary().cache;
  expect(misses).toBeGreaterThan(0);
  expect(hits).toBeGreaterThanOrEqual(misses);
});

test("the bundled teacher is as good as it says, and several times larger than the student", () => {
  const { teacher, student } = summary();
  expect(teacher.accuracy.test).toBeGreaterThanOrEqual(0.92);
  expect(teacher.parameters / student.parameters).toBeGreaterThan(3);
});

test("numpy finds the summary's figures in predictions-*.npz", () => {
  const script = fileURLToPath(new URL("./predictions.py", import.meta.url));
  const found = JSON.parse(python(script, [run]));
  const { student, teacher, agreement, kl, agreementTop5, euclidean } = summary();
  expect(Object.keys(found).sort()).toEqual(["test", "validation"]);
  for (const split of ["test", "validation"]) {
    expect(found[split].accuracy).toBeCloseTo(student.accuracy[split], 12);
    expect(found[split].teacherAccuracy).toBeCloseTo(teacher.accuracy[split], 12);
    expect(found[split].agreement).toBeCloseTo(agreement[split], 12);
    expect(found[split].kl).toBeCloseTo(kl[split], 6);
    expect(found[split].accuracyTop5).toBeCloseTo(student.accuracyTop5[split], 12);
    expect(found[split].teacherAccuracyTop5).toBeCloseTo(teacher.accuracyTop5[split], 12);
    expect(found[split].agreementTop5).toBeCloseTo(agreementTop5[split], 12);
    expect(found[split].euclidean).toBeCloseTo(euclidean[split], 5);
  }
});

test("leaves a report that needs nothing else, and the student's weights", async () => {
  const report = readFileSync(join(run, "report.html"), "utf8");
  expect(report).toContain("<svg");
  expect(report).not.toMatch(/(src|href)="https?:/);
  expect(existsSync(join(run, "config.yaml"))).toBe(true);
  const weights = await loadBitWeights(join(run, "student.npz"));
  expect(parameterCount(weights)).toBe(summary().student.parameters);
});
