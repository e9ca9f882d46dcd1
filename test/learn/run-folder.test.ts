import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTrainConfig, type TrainConfig } from "funmatch/config";
import { beforeEach, expect, test } from "vitest";
import { stringify } from "yaml";
import { openRunFolder } from "../../student-trainer/learn/run-folder.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "run-folder-"));
});

const inRun = (name: string) => join(folder, "run", name);

function config(more: object = {}): TrainConfig {
  const path = join(folder, "run.yaml");
  writeFileSync(
    path,
    stringify({
      run: "run",
      data: { train: { fashion: "train" } },
      teachers: [{ url: "http://localhost:8500/v1/models/prof", key: "a secret in the file" }],
      design: "funmatch",
      student: { model: "bit", blocks: [1], width: 0.5, resolution: 32 },
      batch: 16,
      length: { steps: 10 },
      optimizer: { learningRate: 1e-3 },
      ...more,
    }),
  );
  return readTrainConfig(path);
}

async function openAndRelease(more?: object): Promise<void> {
  await (await openRunFolder(config(more))).release();
}

const beginRun = () => mkdirSync(inRun("checkpoints/step-000000005"), { recursive: true });

test("the config is written down as resolved, but for a key that stands in it", async () => {
  await openAndRelease();
  const written = readFileSync(inRun("config.yaml"), "utf8");
  expect(written).toContain("everySteps: 200");
  expect(written).not.toContain("secret");
  await openAndRelease();
});

test("a run that has begun keeps its config, but for what no number depends on", async () => {
  await openAndRelease();
  beginRun();
  await openAndRelease({ checkpoint: { keep: 5 }, workers: 1, evaluate: { everySteps: 7 } });
  await openAndRelease({ data: { train: { folder: "moved" }, test: { folder: "new" } } });
  await expect(openAndRelease({ batch: 32, seed: 1 })).rejects.toThrow("is of a run with other seed, batch");
  await expect(openAndRelease({ evaluate: { resize: 64 } })).rejects.toThrow("with other evaluate.resize");
  const elsewhere = { url: "http://elsewhere:8500/v1/models/prof" };
  await openAndRelease({ teachers: [elsewhere] });
  await expect(openAndRelease({ teachers: [{ ...elsewhere, resolution: 64 }] })).rejects.toThrow(
    "with other teachers.resolution",
  );
  expect(existsSync(inRun("lock"))).toBe(false);
});

test("before its first checkpoint a config may still be mended", async () => {
  await openAndRelease({ schedule: { warmupSteps: 100 } });
  await openAndRelease({ schedule: { warmupSteps: 1 } });
});

test("a config that was cut short is told in words", async () => {
  await openAndRelease();
  beginRun();
  writeFileSync(inRun("config.yaml"), "");
  await expect(openAndRelease()).rejects.toThrow("config.yaml cannot be read");
});

test("a process that lives keeps others out; one that was killed does not", async () => {
  const other = spawn("sleep", ["60"]);
  mkdirSync(join(folder, "run"));
  writeFileSync(inRun("lock"), String(other.pid));
  await expect(openAndRelease()).rejects.toThrow(`process ${other.pid} is using this run`);
  other.kill("SIGKILL");
  await once(other, "exit");
  await openAndRelease();
});

test("of trainers that find a dead one's lock at the same time, one gets the folder", async () => {
  const dead = spawnSync("true").pid;
  const module = new URL("../../student-trainer/learn/lock.ts", import.meta.url).href;
  const lock = join(folder, "lock");
  const script = `const { takeLock } = await import(${JSON.stringify(module)});
    process.stdin.once("data", async () => {
      await takeLock(${JSON.stringify(lock)}).then(() => console.log("mine"), () => console.log("taken"));
      setTimeout(() => process.exit(), 1000);
    }); console.log("ready");`;
  writeFileSync(lock, String(dead));
  const trainers = Array.from({ length: 6 }, () =>
    spawn(process.execPath, ["--input-type=module", "--eval", script]),
  );
  await Promise.all(trainers.map(({ stdout }) => once(stdout, "data")));
  const said = trainers.map(async ({ stdout }) => String((await once(stdout, "data"))[0]).trim());
  for (const { stdin } of trainers) stdin.write("go\n");
  expect((await Promise.all(said)).sort()).toEqual(["mine", ...Array(5).fill("taken")]);
});
