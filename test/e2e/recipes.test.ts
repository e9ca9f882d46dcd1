import { cpSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readConfig } from "@funmatch/config";
import { readTrainConfig } from "funmatch/config";
import { teacherSchema } from "funmatch-teacher/config";
import type { TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MINIATURES } from "../data/miniatures.ts";
import { startFunmatch, startSmallTeacher, TOKEN, temporaryFolder } from "./services.ts";

const RECIPES = fileURLToPath(new URL("../../recipes", import.meta.url));
const SETTINGS = ["fast", "medium", "long"] as const;

/** The paper's table: epochs, temperature, learning rate and weight decay of each setting. */
const PAPER: Record<string, [epochs: number, temperature: number, rate: number, decay: number][]> = {
  flowers102: [
    [10_000, 10, 3e-3, 3e-4],
    [100_000, 1, 1e-3, 1e-4],
    [1_000_000, 1, 3e-4, 1e-5],
  ],
  "oxford-iiit-pet": [
    [1_000, 5, 1e-2, 1e-3],
    [3_000, 10, 3e-3, 3e-4],
    [30_000, 2, 3e-3, 1e-5],
  ],
  food101: [
    [100, 10, 1e-2, 1e-3],
    [1_000, 10, 1e-3, 3e-4],
    [3_000, 5, 1e-2, 1e-4],
  ],
  sun397: [
    [100, 10, 1e-2, 1e-3],
    [1_000, 10, 1e-3, 1e-4],
    [3_000, 10, 1e-2, 3e-5],
  ],
  imagenet: [300, 1_200, 9_600].map((epochs) => [epochs, 1, 3e-2, 3e-4]),
};
const SETS = Object.keys(PAPER);

test("every recipe is tested", () => {
  const folders = readdirSync(RECIPES, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map(({ name }) => name).sort()).toEqual([...SETS, "start"].sort());
});

describe.each(SETS)("%s", (set) => {
  test("has the paper's settings, and a teacher of the student's resolution", () => {
    const large = set === "imagenet";
    for (const [i, setting] of SETTINGS.entries()) {
      const config = readTrainConfig(join(RECIPES, set, `${setting}.yaml`));
      const [epochs, temperature, learningRate, weightDecay] = PAPER[set]![i]!;
      expect(config).toMatchObject({
        run: join(RECIPES, `../runs/${set}-${setting}`),
        design: "funmatch",
        student: { model: "bit", depth: 50, width: 1, resolution: large ? 224 : 128 },
        distance: { kind: "kl", temperature },
        mixup: 1,
        crop: { area: [0.05, 1], aspect: [0.75, 1.33] },
        batch: large ? 4096 : 512,
        length: { epochs },
        optimizer: {
          kind: "adam",
          learningRate,
          weightDecay,
          clip: 1,
          decay: ".*/kernel$",
          firstMoment: "bfloat16",
        },
        schedule: { decay: "cosine", warmupSteps: large ? 5000 : 1500 },
        evaluate: { splits: ["validation", "test"], resize: large ? 256 : 160 },
      });
      const { models } = readConfig(teacherSchema, join(RECIPES, set, "teacher.yaml"));
      expect(models.prof).toMatchObject({ resolution: config.student.resolution, valueRange: [-1, 1] });
    }
  });
});

describe("runs on a miniature of the data as it is published", () => {
  let teacher: TeacherProcess;
  beforeAll(async () => {
    teacher = await startSmallTeacher({ folder: temporaryFolder("teacher"), resolution: 16, classes: 3 });
  });
  afterAll(() => teacher.close());

  /** What makes a recipe small enough for a test; its data stays as it is. */
  const small = () => [
    "student.blocks=[1]",
    ...["student.width=0.5", "student.resolution=16", "evaluate.resize=20", "evaluate.batch=4"],
    ...["batch=4", "length.steps=3", "schedule.warmupSteps=1", "workers=1", "threads=1", "log.everySteps=1"],
    `teachers=[{ url: "${teacher.url}/v1/models/prof", key: ${TOKEN} }]`,
  ];

  test.each(SETS)("%s", async (set) => {
    const folder = temporaryFolder("recipe");
    await MINIATURES[set]!(join(folder, "datasets", set));
    cpSync(join(RECIPES, set), join(folder, "recipes", set), { recursive: true });
    const sets = small().flatMap((one) => ["--set", one]);
    const { code, output } = await startFunmatch([
      "train",
      join(folder, "recipes", set, "fast.yaml"),
      ...sets,
    ]).finished;
    expect(code, output).toBe(0);
    const summary = JSON.parse(readFileSync(join(folder, `runs/${set}-fast/summary.json`), "utf8"));
    expect(summary).toMatchObject({ steps: 3, verifiedSteps: 3 });
    expect(Object.keys(summary.student.accuracy)).toEqual(["validation", "test"]);
    rmSync(folder, { recursive: true });
  });
});
