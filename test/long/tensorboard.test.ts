import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { python } from "../e2e/python.ts";
import { startFunmatch, temporaryFolder, writeRunConfig } from "../e2e/services.ts";
import { LABEL_RUN, lines, trainFromLabels } from "./label-run.ts";

const script = fileURLToPath(new URL("./read_events.py", import.meta.url));
const PACKAGES = ["tensorboard==2.20.0", "numpy==2.2.6", "setuptools==80.9.0"];

function scalars(folder: string): Record<string, [number, number][]> {
  return JSON.parse(python(script, [join(folder, "run", "tensorboard")], PACKAGES));
}

test("TensorBoard reads what metrics.jsonl says, after a kill too, each point once", async () => {
  const folder = temporaryFolder("tensorboard");
  const more = {
    length: { steps: 400 },
    checkpoint: { everySteps: 100 },
    evaluate: { everySteps: 200, splits: ["train"], batch: 500 },
  };
  const path = writeRunConfig(folder, { ...LABEL_RUN, ...more });
  const { child, finished } = startFunmatch(["train", path]);
  const checkpoints = join(folder, "run", "checkpoints");
  const saved = () => {
    try {
      return readdirSync(checkpoints).some((name) => !name.endsWith(".draft"));
    } catch {
      return false;
    }
  };
  while (!saved()) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 100));
  child.kill("SIGKILL");
  expect((await finished).signal).toBe("SIGKILL");
  const { code, output } = await trainFromLabels(folder, more);
  expect(code, output).toBe(0);

  const files = readdirSync(join(folder, "run", "tensorboard"));
  expect(files).toHaveLength(2);
  const told = scalars(folder);
  const metrics = lines(folder, "metrics.jsonl");
  const points = (of: Record<string, unknown>[], key: string) =>
    of.map((line) => [line.step, Math.fround(line[key] as number)]);
  const trained = metrics.filter((line) => !("split" in line));
  expect(trained).toHaveLength(400);
  for (const key of ["loss", "learningRate", "gradientNorm", "imagesPerSecond"])
    expect(told[`train/${key}`]).toEqual(points(trained, key));
  const evaluated = metrics.filter((line) => "split" in line);
  expect(evaluated).toHaveLength(2);
  expect(told["train/accuracy"]).toEqual(points(evaluated, "accuracy"));
}, 180_000);

test("log.tensorboard: false writes none", async () => {
  const folder = temporaryFolder("no-tensorboard");
  const { code, output } = await trainFromLabels(folder, { log: { tensorboard: false } });
  expect(code, output).toBe(0);
  expect(readdirSync(join(folder, "run"))).not.toContain("tensorboard");
});
