import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { startFunmatch, startSmallTeacher, TOKEN, temporaryFolder, writeRunConfig } from "./services.ts";

const clothing = fileURLToPath(new URL("../../../shared/data/clothing", import.meta.url));

test.skipIf(!existsSync(clothing))(
  "real photographs train from an image folder (skipped where ../shared/data/clothing is absent)",
  async () => {
    const folder = temporaryFolder("clothing");
    const teacher = await startSmallTeacher({ folder, resolution: 64, classes: 10 });
    const config = writeRunConfig(folder, {
      run: "run",
      data: { train: { folder: join(clothing, "train") }, test: { folder: join(clothing, "test") } },
      teachers: [{ url: `${teacher.url}/v1/models/prof`, key: TOKEN }],
      design: "funmatch",
      student: { model: "bit", depth: 26, width: 0.5, resolution: 64 },
      batch: 32,
      length: { steps: 20 },
      optimizer: { learningRate: 1e-3 },
      evaluate: { everySteps: 20, splits: ["test"], batch: 62 },
      log: { everySteps: 1 },
    });
    const { code, output } = await startFunmatch(["train", config]).finished;
    await teacher.close();
    expect(code, output).toBe(0);
    const run = join(folder, "run");
    const summary = JSON.parse(readFileSync(join(run, "summary.json"), "utf8"));
    expect(summary).toMatchObject({ steps: 20, verifiedSteps: 20 });
    const losses = readFileSync(join(run, "metrics.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
      .filter((line) => line.loss !== undefined);
    expect(losses).toHaveLength(20);
    expect(losses.every(({ loss }) => Number.isFinite(loss))).toBe(true);
  },
  180_000,
);
