import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readNpz } from "@funmatch/models";
import type { Summary } from "funmatch/summary";
import { expect, test } from "vitest";
import { pictureFolder } from "../data/pictures.ts";
import { startFunmatch, temporaryFolder, writeRunConfig } from "../e2e/services.ts";

/** A run from labels over seven pictures, one of them corrupt; `steps` of it, in a new process. */
async function trainOn(photos: string, folder: string, o: { steps: number; data?: object }) {
  const path = writeRunConfig(folder, {
    run: "run",
    data: { train: { folder: photos }, test: { folder: photos }, maxCorrupt: 0.2, ...o.data },
    design: "labels",
    student: { model: "bit", blocks: [1], width: 0.5, resolution: 16 },
    batch: 4,
    length: { steps: 8 },
    optimizer: { learningRate: 1e-3 },
    checkpoint: { everySteps: 1 },
    log: { everySteps: 1 },
    evaluate: { everySteps: 8, splits: ["test"] },
    ...{ workers: 2, threads: 1 },
  });
  const { child, finished } = startFunmatch(["train", path]);
  if (o.steps < 8) {
    const there = join(folder, "run/checkpoints", `step-${String(o.steps).padStart(9, "0")}`);
    while (child.exitCode === null && !existsSync(there)) await new Promise((after) => setTimeout(after, 5));
    child.kill("SIGKILL");
  }
  const { code, output } = await finished;
  const read = (name: string) => readFileSync(join(folder, "run", name), "utf8");
  return { code, output, read };
}

test("a run with a corrupt image goes on, says so, and ends the same when it was killed between", async () => {
  const photos = await pictureFolder();
  writeFileSync(join(photos, "dog/5.jpg"), "broken");
  const [smooth, killed] = [temporaryFolder("corrupt"), temporaryFolder("corrupt-killed")];
  const whole = await trainOn(photos, smooth, { steps: 8 });
  expect(whole.code, whole.output).toBe(0);
  expect(whole.output.match(/dog\/5\.jpg cannot be read/g)).toHaveLength(2); // once a split
  const summary = JSON.parse(whole.read("summary.json")) as Summary;
  expect(summary.corruptImages).toEqual({ train: 1, test: 1 });
  expect(whole.read("report.html")).toContain("1 in train, 1 in test");
  const lines = whole
    .read("metrics.jsonl")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { replacedImages?: number });
  // 32 images are 4 epochs of 7 and 4 more: the corrupt one was met four times or five.
  expect([4, 5]).toContain(lines.reduce((sum, { replacedImages = 0 }) => sum + replacedImages, 0));
  const predictions = await readNpz(join(smooth, "run/predictions-test.npz"));
  expect(predictions.get("labels")?.shape).toEqual([6]);
  expect(predictions.get("student")?.shape).toEqual([6, 2]);

  await trainOn(photos, killed, { steps: 3 });
  const again = await trainOn(photos, killed, { steps: 8 });
  expect(again.code, again.output).toBe(0);
  const resumed = JSON.parse(again.read("summary.json")) as Summary;
  expect(resumed.student.parametersSha256).toBe(summary.student.parametersSha256);
  expect(resumed.corruptImages).toEqual(summary.corruptImages);
}, 120_000);

test("more than data.maxCorrupt end the run with one line; with a larger share it goes on", async () => {
  const photos = await pictureFolder();
  writeFileSync(join(photos, "dog/5.jpg"), "broken");
  const folder = temporaryFolder("too-corrupt");
  const refused = await trainOn(photos, folder, { steps: 8, data: { maxCorrupt: 0.1 } });
  expect(refused.code, refused.output).toBe(2);
  expect(refused.output).toMatch(
    /^funmatch: 1 of the 7 images of train are corrupt, more than data.maxCorrupt/m,
  );
  const allowed = await trainOn(photos, folder, { steps: 8, data: { maxCorrupt: 0.2 } });
  expect(allowed.code, allowed.output).toBe(0);
  rmSync(folder, { recursive: true });
}, 120_000);
