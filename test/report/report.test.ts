import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { expect, test } from "vitest";
import { writeReport } from "../../student-trainer/report/report.ts";
import { writeSamples } from "../../student-trainer/report/samples.ts";
import { series } from "../../student-trainer/report/series.ts";
import { type Summary, writeSummary } from "../../student-trainer/report/summary.ts";
import { compact, duration } from "../../student-trainer/report/words.ts";
import { someBatch } from "../teach/batches.ts";

const CONFIG = `run: runs/x
design: funmatch
teachers: [{ url: "http://127.0.0.1:1/v1/models/<prof>" }]
student: { model: bit, depth: 26, width: 0.5, resolution: 64 }
batch: 128
`;

const SUMMARY: Summary = {
  steps: 3,
  verifiedSteps: 3,
  seconds: 61,
  imagesPerSecond: 1234.5,
  waitingForTeacher: 0.25,
  teacher: { version: `sha256:${"a".repeat(64)}`, parameters: 2_000_000, accuracy: { test: 0.93 } },
  student: { parameters: 250_000, accuracy: { test: 0.875 }, parametersSha256: `sha256:${"b".repeat(64)}` },
  agreement: { test: 0.9375 },
  kl: { test: 0.0123 },
  cache: { hits: 5, misses: 6 },
};

/** A run's folder with `steps` logged steps and an evaluation at its end. */
async function folder(steps: number): Promise<string> {
  const run = await mkdtemp(join(tmpdir(), "report-"));
  const lines = Array.from({ length: steps }, (_, i) =>
    JSON.stringify({
      step: i + 1,
      loss: 1 / (i + 1),
      learningRate: 1e-3,
      imagesPerSecond: 100,
      stepSeconds: 1,
      waitedSeconds: 0.1,
    }),
  );
  lines.push(JSON.stringify({ step: steps, split: "test", accuracy: 0.8, agreement: 0.9, kl: 0.1 }));
  await writeFile(join(run, "metrics.jsonl"), `${lines.join("\n")}\n{"step": 4, "lo`); // killed while writing
  await writeFile(join(run, "config.yaml"), CONFIG);
  return run;
}

test("the report is one page that loads nothing, made from the folder's files alone", async () => {
  const run = await folder(3);
  await writeSummary(run, SUMMARY);
  await writeSamples(run, (await someBatch(1, 9)).views);
  const html = await readFile(await writeReport(run), "utf8");
  for (const title of [
    "Loss",
    "Agreement",
    "Accuracy",
    "KL divergence",
    "Learning rate",
    "Throughput",
    "Waiting for the teacher",
  ])
    expect(html).toContain(`<b>${title}</b>`);
  for (const figure of ["87.5 %", "93.8 %", "teacher 93.0 %", "250 k", "8 × fewer", "5 hits, 6 misses"])
    expect(html).toContain(figure);
  expect(html).toContain("data:image/png;base64,");
  expect(html).toContain("&#60;prof&#62;");
  expect(html.match(/<svg /g)).toHaveLength(7);
  for (const outside of [/(src|href)="(?!data:)/, /url\((?!#)/, /@import/, /<script/, /undefined|NaN/])
    expect(html).not.toMatch(outside);
});

test("tables have what was measured and no other columns; several teachers, the best and probes have their own", async () => {
  const run = await folder(3);
  const html = async (summary: Summary) => {
    await writeSummary(run, summary);
    return readFile(await writeReport(run), "utf8");
  };
  const plain = await html(SUMMARY);
  expect(plain).toContain("<th>agreement</th><th>KL (t = 1, nats)</th></tr>");
  for (const absent of ["top 5", "CKA", "<h3>"]) expect(plain).not.toContain(absent);

  const figures = { accuracy: { test: 0.91 }, agreement: { test: 0.9 }, kl: { test: 0.02 } };
  const several = await html({
    ...SUMMARY,
    ...{ agreementTop5: { test: 0.9991 }, euclidean: { test: 2.345 }, cka: { test: 0.8765 } },
    teachers: ["a", "b"].map((url) => ({
      ...{ url, version: "v", parameters: 1, ...figures, euclidean: { test: 3.456 } },
    })),
    best: { step: 2, split: "validation", metric: "kl", value: 0.0456, parametersSha256: "x", ...figures },
    probes: [
      { on: "test", from: "train", shots: [{ shots: 5, accuracy: 0.5, accuracies: [0.4, 0.6] }] },
      { on: "cars", from: "carsTrain", shots: [{ shots: 1, accuracy: 0.25, accuracies: [0.25] }] },
    ],
  });
  for (const figure of ["ensemble accuracy", "99.91 %", "2.35", "0.876", "From teacher 2, b", "3.46"])
    expect(several).toContain(figure);
  expect(several).toContain("The best checkpoint: step 2, by kl on validation");
  expect(several).toMatch(/<dt>best KL<.dt><dd>0.0456<.dd>.*on validation, at step 2</);
  expect(several).toContain("<td>40.00 % … 60.00 %</td>");
  expect(several).toContain("<td>carsTrain</td>");
  expect(several).not.toMatch(/undefined|NaN/);
});

test("the headline names the student, whatever network it is", async () => {
  const run = await folder(3);
  for (const [student, name] of [
    ["{ model: bit, blocks: [1, 2], width: 1.5, resolution: 64 }", "BiT [1, 2] × 1.5"],
    ["{ model: mobilenetv3, size: small, width: 1, resolution: 64 }", "MobileNetV3 small"],
    ["{ model: vit, size: Ti, patch: 8, resolution: 64 }", "ViT-Ti/8"],
    ["{ model: module, file: /nets/my-net.ts, options: {}, resolution: 64 }", "my-net.ts"],
  ]) {
    await writeFile(join(run, "config.yaml"), CONFIG.replace(/{ model: .*}/, student!));
    expect(await readFile(await writeReport(run), "utf8")).toContain(`design funmatch · ${name} at 64 px`);
  }
});

test("marks of an axis are where their labels say", async () => {
  const run = await folder(3);
  const evaluations = [0.12, 0.17].map((agreement, i) =>
    JSON.stringify({ step: 4 + i, split: "test", accuracy: agreement, agreement, kl: 1 }),
  );
  await writeFile(join(run, "metrics.jsonl"), `${evaluations.join("\n")}\n`);
  const html = await readFile(await writeReport(run), "utf8");
  const marks = [...html.matchAll(/<text[^>]*>(\d+ %)<.text>/g)].map(([, mark]) => mark);
  expect([...new Set(marks)]).toEqual(["10 %", "12 %", "14 %", "16 %", "18 %", "20 %"]);
});

test("a run that has not ended is reported as far as it came", async () => {
  const html = await readFile(await writeReport(await folder(1)), "utf8");
  expect(html).toContain("step 1, not ended yet");
  expect(html).toContain("80.0 %");
});

test("a folder that is no run is refused in one line", async () => {
  const empty = await mkdtemp(join(tmpdir(), "report-"));
  await expect(writeReport(empty)).rejects.toThrow(/is not a run: it has no config.yaml/);
});

test("a hundred thousand lines make a page of ordinary size, in little time", async () => {
  const run = await folder(100_000);
  const before = performance.now();
  const html = await readFile(await writeReport(run), "utf8");
  expect(performance.now() - before).toBeLessThan(5000);
  expect(html.length).toBeLessThan(400_000);
});

test("a thinned curve keeps mean, extremes and last step", () => {
  const curve = series(10);
  for (let step = 1; step <= 1000; step++) curve.add(step, step === 500 ? 9999 : step);
  const points = curve.points();
  expect(points.length).toBeGreaterThanOrEqual(10);
  expect(points.length).toBeLessThanOrEqual(20);
  expect(points.at(-1)?.step).toBe(1000);
  expect(Math.max(...points.map(({ max }) => max))).toBe(9999);
  const sum = points.reduce((total, { mean, count }) => total + mean * count, 0);
  expect(sum).toBeCloseTo((1000 * 1001) / 2 - 500 + 9999, 6);
});

test("samples are the sent pixels, in a grid", async () => {
  const run = await mkdtemp(join(tmpdir(), "samples-"));
  const { views } = await someBatch(1, 9);
  await writeSamples(run, views);
  const grid = sharp(join(run, "samples.png"));
  expect(await grid.metadata()).toMatchObject({ width: 8 * 6 - 2, height: 2 * 6 - 2 });
  const second = await grid.extract({ left: 6, top: 0, width: 4, height: 4 }).removeAlpha().raw().toBuffer();
  expect([...second]).toEqual([...views.data.subarray(48, 96)]);
});

test("where the teacher saw other views, each of its rows is below the student's of the same images", async () => {
  const run = await mkdtemp(join(tmpdir(), "samples-"));
  const [student, teacher] = [(await someBatch(1, 9)).views, (await someBatch(2, 9)).views];
  await writeSamples(run, student, teacher);
  const grid = sharp(join(run, "samples.png"));
  expect(await grid.metadata()).toMatchObject({ width: 8 * 6 - 2, height: 4 * 6 - 2 });
  const tile = (top: number) =>
    grid.clone().extract({ left: 0, top, width: 4, height: 4 }).removeAlpha().raw().toBuffer();
  expect([...(await tile(6))]).toEqual([...teacher.data.subarray(0, 48)]);
  expect([...(await tile(12))]).toEqual([...student.data.subarray(8 * 48, 9 * 48)]);
});

test("numbers in words", () => {
  expect([0.003, 12.43, 1234, 2.5e6, 3e-5, 0].map(compact)).toEqual([
    "0.003",
    "12.4",
    "1.23 k",
    "2.5 M",
    "3e-5",
    "0",
  ]);
  expect([45, 720, 12_000, 360_000].map(duration)).toEqual(["45 s", "12 min", "3 h 20 min", "4 d 4 h"]);
});

test("the report says how many corrupt images there were", async () => {
  const run = await folder(3);
  await writeSummary(run, { ...SUMMARY, corruptImages: { train: 3, test: 1 } });
  expect(await readFile(await writeReport(run), "utf8")).toContain("3 in train, 1 in test: others stood in");
});
