import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Card, WireError } from "@funmatch/wire";
import { readTrainConfig } from "funmatch/config";
import type { TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkData } from "../../student-trainer/doctor/data.ts";
import { checkSpace, stateBytes } from "../../student-trainer/doctor/space.ts";
import { checkTeacher } from "../../student-trainer/doctor/teacher.ts";
import { writePicture } from "../data/pictures.ts";
import { startFunmatch, startSmallTeacher, TOKEN, temporaryFolder, writeRunConfig } from "../e2e/services.ts";
import { KEY, smallTeacher } from "../teach/small-teacher.ts";
import { LABEL_RUN, trainFromLabels } from "./label-run.ts";

let teacher: TeacherProcess;
beforeAll(async () => {
  teacher = await startSmallTeacher({ folder: temporaryFolder("teacher"), resolution: 16, classes: 10 });
});
afterAll(() => teacher?.close());

function taught(folder: string, more: object = {}, key = TOKEN): string {
  const teachers = [{ url: `${teacher.url}/v1/models/prof`, key }];
  return writeRunConfig(folder, { ...LABEL_RUN, design: "funmatch", teachers, ...more });
}

const doctor = (args: string[], env = {}) => startFunmatch(["doctor", ...args], { env }).finished;

test("a run that can begin: every line is well, but that this teacher knows nothing", async () => {
  const { code, output } = await doctor([taught(temporaryFolder("well"))]);
  expect(code, output).toBe(0);
  const marks = output
    .trim()
    .split("\n")
    .map((line) => line.slice(0, line.indexOf(" ", 3)).trim());
  expect(marks).toEqual([
    ...["✓ engine", "✓ config", "✓ run", "✓ data.train", "✓ teacher", "✓ limits", "! teacher's", ""],
    ...["✓ disk", "✓ memory"],
  ]);
  expect(output).toMatch(/near chance \(.*\n {4}→ mend the teacher's config/);
});

test("what is wrong is named, all of it, each with what to mend", async () => {
  const wrongKey = await doctor([taught(temporaryFolder("key"), {}, "wrong"), "--set", "run=/proc/nowhere"]);
  expect(wrongKey.code).toBe(1);
  expect(wrongKey.output).toMatch(/✗ teacher .*401 unauthenticated/);
  expect(wrongKey.output).toMatch(/✗ disk .*(cannot be written to|0 B are free)/);
  const gone = "[{ file: gone.npz, resolution: 16, valueRange: [-1, 1] }]";
  const noFile = await doctor([taught(temporaryFolder("gone")), "--set", `teachers=${gone}`]);
  expect(noFile.output).toMatch(/✗ teacher .*there is no file .*gone\.npz\n {4}→ .*correct teachers/);
  const typo = await doctor([taught(temporaryFolder("typo")), "--set", "bach=3"]);
  expect(typo.output).toContain('unknown key "bach": did you mean "batch"?');
  expect(typo.code).toBe(1);
  const noEngine = await doctor([], { FUNMATCH_CACHE: temporaryFolder("empty-cache") });
  expect(noEngine.output).toMatch(/^✗ engine .*is not installed.*\n {4}→ funmatch engine install$/m);
  expect(noEngine.code).toBe(1);
}, 60_000);

test("a run that is there: the config must be its own, and the teacher the one that it began with", async () => {
  const folder = temporaryFolder("begun");
  const begun = await trainFromLabels(folder);
  expect(begun.code, begun.output).toBe(0);
  const config = writeRunConfig(folder, LABEL_RUN);
  expect((await doctor([config])).output).toMatch(/✓ run .*goes on after step 6/);
  const other = await doctor([config, "--set", "seed=1"]);
  expect(other.output).toMatch(/✗ run .*with other seed\n {4}→ change it back/);
  const longer = await doctor([config, "--set", "length.steps=9"]);
  expect(longer.output).toMatch(/with other length\n.*train --change-length/);

  const settings = readTrainConfig(taught(folder));
  const [finding] = await checkTeacher(0, {
    config: settings,
    began: `sha256:${"0".repeat(64)}`,
  });
  expect(finding).toMatchObject({ state: "fault", said: expect.stringContaining("but this run began with") });
}, 60_000);

test("what a run settled by itself is nothing that the config lacks", async () => {
  const folder = temporaryFolder("settled");
  const guide = readFileSync(new URL("../../docs/students.md", import.meta.url), "utf8");
  writeFileSync(join(folder, "my-net.ts"), /```ts\n([\s\S]*?)```/.exec(guide)![1]!);
  const student = { model: "module", file: "my-net.ts", options: { widths: [4] }, resolution: 16 };
  const config = taught(folder, { student, compute: "auto" });
  const begun = await startFunmatch(["train", config]).finished;
  expect(begun.code, begun.output).toBe(0);
  expect((await doctor([config])).output).toMatch(/✓ run .*goes on after step 6/);
}, 60_000);

test("corrupt pictures of a sample are counted against what the run allows", async () => {
  const folder = temporaryFolder("corrupt");
  for (const name of ["a", "b"])
    for (let i = 0; i < 10; i++) await writePicture(join(folder, "train", name, `${i}.png`), i);
  writeFileSync(join(folder, "train", "a", "3.png"), "no picture");
  const examine = async (maxCorrupt: number) => {
    const data = { train: { folder: join(folder, "train") }, maxCorrupt };
    const { findings, pool } = await checkData(
      readTrainConfig(writeRunConfig(folder, { ...LABEL_RUN, data })),
    );
    await pool?.close();
    return findings[0]!;
  };
  const fault = await examine(0.01);
  expect(fault.state).toBe("fault");
  expect(fault.said).toMatch(/20 images of 2 classes, 20 of them decoded: 5.0 % corrupt \(.*3\.png/);
  expect((await examine(0.1)).state).toBe("warning");
});

test("a teacher that only tells to wait, as for a quota, is not waited for", async () => {
  const quota = new WireError("quota_exceeded", "1,000 images a day are used up", {
    retryAfterSeconds: 3600,
  });
  const input: Card["input"] = {
    resolution: 8,
    valueRange: [-1, 1],
    channels: 3,
    dtypes: ["uint8"],
    resizes: false,
  };
  const service = await smallTeacher({ classes: 10, card: () => ({ input }), behave: () => quota });
  const folder = temporaryFolder("quota");
  const student = { ...LABEL_RUN.student, resolution: 8 };
  const teachers = [{ url: service.url, key: KEY }];
  const path = writeRunConfig(folder, { ...LABEL_RUN, student, design: "funmatch", teachers });
  const config = readTrainConfig(path);
  const { pool } = await checkData(config);
  const findings = await checkTeacher(0, { config, pool, patienceMs: 1500 });
  await pool!.close();
  await service.close();
  expect(findings.at(-1)).toMatchObject({
    state: "fault",
    said: expect.stringMatching(/1,000 images a day are used up \(429 quota_exceeded; waiting 3600 s/),
  });
});

test("the state that is reckoned is what a checkpoint holds", async () => {
  const folder = temporaryFolder("state");
  const trained = await trainFromLabels(folder);
  expect(trained.code, trained.output).toBe(0);
  const config = readTrainConfig(writeRunConfig(folder, LABEL_RUN));
  const file = join(folder, "run", "checkpoints", "step-000000006", "state.npz");
  const [reckoned, real] = [await stateBytes(config, 10), statSync(file).size];
  expect(real - reckoned).toBeGreaterThan(0);
  expect(real - reckoned).toBeLessThan(0.1 * real); // names and headers
  const ledger = readFileSync(join(folder, "run", "ledger.jsonl"), "utf8")
    .trim()
    .split("\n");
  expect(ledger.at(-1)!.length).toBeLessThan(800);
  const [disk] = await checkSpace({ ...config, log: { everySteps: 1, tensorboard: true } }, 10, 1e12);
  expect(disk).toMatchObject({ name: "disk", state: "fault" });
});
