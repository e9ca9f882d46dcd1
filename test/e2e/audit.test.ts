import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readNpz, writeNpz } from "@funmatch/models";
import { startTeacherService, type TeacherProcess } from "funmatch-teacher/dev";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writePicture } from "../data/pictures.ts";
import {
  type Finished,
  startFunmatch,
  startSmallTeacher,
  TOKEN,
  temporaryFolder,
  writeRunConfig,
} from "./services.ts";

const STEPS = 12;
const IMAGES = 40;
const env = { FUNMATCH_TEST_TOKEN: TOKEN };
const folder = temporaryFolder("audit");
const trained = join(folder, "run");

interface Check {
  name: string;
  result: "passed" | "failed" | "open";
  said: string;
}

let teacher: TeacherProcess;
beforeAll(async () => {
  for (let i = 0; i < IMAGES; i++) {
    const path = join(folder, "images", i % 2 === 0 ? "cat" : "dog", `${String(i).padStart(2, "0")}.png`);
    await writePicture(path, i);
  }
  teacher = await startSmallTeacher({ folder, resolution: 32, classes: 2 });
  await trainRun("run", { design: "funmatch" });
}, 120_000);
afterAll(() => teacher?.close());

async function trainRun(run: string, design: object): Promise<void> {
  const config = writeRunConfig(folder, {
    run,
    seed: 7,
    data: { train: { folder: "images" } },
    teachers: [{ url: `${teacher.url}/v1/models/prof`, key: "env:FUNMATCH_TEST_TOKEN" }],
    student: { model: "bit", blocks: [1], width: 0.5, resolution: 32 },
    batch: 16,
    chunk: 8,
    length: { steps: STEPS },
    optimizer: { learningRate: 1e-3 },
    checkpoint: { everySteps: 5 },
    ...design,
  });
  const { code, output } = await startFunmatch(["train", config], { env }).finished;
  expect(code, output).toBe(0);
}

/** A copy of the trained run, with its data and teacher where they were unless `edit` says otherwise. */
function copyOfRun(edit: (config: string) => string = (config) => config): string {
  const run = join(temporaryFolder("audited"), "run");
  cpSync(trained, run, { recursive: true });
  const config = join(run, "config.yaml");
  writeFileSync(config, edit(readFileSync(config, "utf8")));
  return run;
}

async function audited(run: string, ...options: string[]): Promise<Finished & { checks: Check[] }> {
  const finished = await startFunmatch(["audit", run, ...options], { env }).finished;
  expect([0, 1], finished.output).toContain(finished.code);
  const { checks, passed } = JSON.parse(readFileSync(join(run, "audit.json"), "utf8"));
  expect(passed).toBe(finished.code === 0);
  return { ...finished, checks };
}

const failures = (checks: Check[]) => checks.filter(({ result }) => result === "failed");

test("an untouched run passes every check", async () => {
  const { code, output, checks } = await audited(copyOfRun(), "--sample", "all");
  expect(code, output).toBe(0);
  expect(checks.filter(({ result }) => result !== "passed")).toEqual([]);
  expect(output).toContain(`${STEPS} steps, asked about again, got the same logits bit for bit`);
  expect(output).toContain(`nothing is wrong up to step ${STEPS}`);
  const lines = readFileSync(join(trained, "ledger.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.filter((line) => line.parametersSha256).map(({ step }) => step)).toEqual([5, 10, 12]);
  expect(lines.reduce((sum, line) => sum + (line.pictures?.length ?? 0), 0)).toBe(IMAGES);
}, 60_000);

test("one edited line: named by its step", async () => {
  const run = copyOfRun();
  const ledger = join(run, "ledger.jsonl");
  const lines = readFileSync(ledger, "utf8").split("\n");
  lines[8] = lines[8]!.replace(/("logits":"[0-9a-f]{63})./, "$1x");
  writeFileSync(ledger, lines.join("\n"));
  const { checks } = await audited(run, "--sample", "1");
  const [found] = failures(checks);
  expect(found?.name).toBe("ledger");
  expect(found?.said).toBe("line 9 (step 8) was changed, or the one before it is missing");
}, 60_000);

test("a line edited to nonsense is named, too; of an empty ledger nothing passes that was not looked at", async () => {
  const run = copyOfRun();
  const ledger = join(run, "ledger.jsonl");
  const lines = readFileSync(ledger, "utf8").split("\n");
  for (const nonsense of [
    lines[4]!.replace('"step":4', '"step":0'),
    lines[4]!.replace('"step":4', '"step":4000000000000'),
    lines[4]!.replace(/"chunks":\[/, '"chunks":[null,'),
    lines[4]!.replace(/"sketch":\[/, '"sketch":["",'),
    "null",
  ]) {
    writeFileSync(ledger, lines.with(4, nonsense).join("\n"));
    const { checks } = await audited(run, "--sample", "all");
    expect(failures(checks)[0]).toMatchObject({ name: "ledger", said: expect.stringMatching(/^line 5 \(/) });
  }
  writeFileSync(ledger, "");
  const passed = (await audited(run)).checks.filter(({ result }) => result === "passed");
  expect(passed.map(({ name }) => name)).toEqual(["data"]);
}, 60_000);

test("the last lines cut off: told by the checkpoint", async () => {
  const run = copyOfRun();
  const ledger = join(run, "ledger.jsonl");
  writeFileSync(ledger, `${readFileSync(ledger, "utf8").split("\n").slice(0, 10).join("\n")}\n`);
  const { checks } = await audited(run, "--sample", "1");
  expect(failures(checks).find(({ name }) => name === "ledger")?.said).toContain(
    `the ledger ends at step 9, not at checkpoint ${STEPS}`,
  );
}, 60_000);

test("one bit of one pixel of one image changed: the image is named, even if no batch shows it", async () => {
  const images = join(temporaryFolder("images"), "images");
  cpSync(join(folder, "images"), images, { recursive: true });
  const path = join(images, "dog", "07.png");
  const { data, info } = await sharp(path).raw().toBuffer({ resolveWithObject: true });
  data[100] = data[100]! ^ 1;
  const { width, height, channels } = info;
  await sharp(data, { raw: { width, height, channels } }).png().toFile(path);
  const { code, checks } = await audited(
    copyOfRun((config) => config.replace(join(folder, "images"), images)),
    "--sample",
    "1",
  );
  expect(code).toBe(1);
  expect(checks.find(({ name }) => name === "images")).toEqual({
    name: "images",
    result: "failed",
    said: `${path} was changed`,
  });
}, 60_000);

test("an image that cannot be read any more is named, not the one that stands in for it", async () => {
  const images = join(temporaryFolder("images"), "images");
  cpSync(join(folder, "images"), images, { recursive: true });
  const path = join(images, "dog", "07.png");
  writeFileSync(path, readFileSync(path).subarray(0, 60));
  const moved = (config: string) => config.replace(join(folder, "images"), images);
  const allowed = await audited(copyOfRun((c) => moved(c).replace(/maxCorrupt: .*/, "maxCorrupt: 0.5")));
  expect(allowed.checks.find(({ name }) => name === "images")).toEqual({
    name: "images",
    result: "failed",
    said: `${path} was changed`,
  });
  const tooMany = await audited(copyOfRun(moved));
  expect(tooMany.code).toBe(1);
  const found = Object.fromEntries(tooMany.checks.map((check) => [check.name, check]));
  expect(found.batches!.said).toContain(`${path} cannot be read`);
  expect(found.images).toMatchObject({
    result: "open",
    said: expect.stringMatching(/^\d+ are as they were; \d+ /),
  });
}, 60_000);

test("one changed weight of the teacher: both versions are named", async () => {
  const arrays = await readNpz(join(folder, "teacher.npz"));
  const changed = arrays.get("head/kernel")!;
  (changed.data as Float32Array)[0]! += 1e-3;
  const other = temporaryFolder("other-teacher");
  await writeNpz(join(other, "teacher.npz"), arrays);
  const config = readFileSync(join(folder, "teacher.yaml"), "utf8");
  writeFileSync(
    join(other, "teacher.yaml"),
    config.replace(join(folder, "teacher.npz"), join(other, "teacher.npz")),
  );
  const otherTeacher = await startTeacherService(join(other, "teacher.yaml"));
  const { code, checks } = await audited(copyOfRun((run) => run.replace(teacher.url, otherTeacher.url)));
  await otherTeacher.close();
  expect(code).toBe(1);
  expect(failures(checks).map(({ name }) => name)).toEqual(["one teacher"]);
  expect(failures(checks)[0]?.said).toMatch(
    /^served now is sha256:[0-9a-f]{64}, the run was taught by sha256:[0-9a-f]{64}$/,
  );
}, 60_000);

test("another seed in the config: the key is named", async () => {
  const { checks } = await audited(copyOfRun((config) => config.replace("seed: 7", "seed: 8")));
  expect(checks.find(({ name }) => name === "config")?.said).toBe(
    "seed is 8 in config.yaml, the run began with 7",
  );
}, 60_000);

test("designs that do not ask about the student's own bytes: what cannot be checked is said to be open", async () => {
  await trainRun("fixed", { design: "fix/cc" });
  await trainRun("labelled", { design: "labels", teachers: [] });
  const open = (checks: Check[]) => checks.filter(({ result }) => result === "open").map(({ name }) => name);
  const fixed = await audited(join(folder, "fixed"));
  expect(fixed.code, fixed.output).toBe(0);
  expect(open(fixed.checks)).toEqual(["same bytes", "answers"]);
  expect(fixed.output).toContain("2 of 9 checks could not be made");
  const labelled = await audited(join(folder, "labelled"));
  expect(labelled.code, labelled.output).toBe(0);
  expect(open(labelled.checks)).toEqual(["same bytes", "answers"]);
}, 60_000);

test("a teacher that cannot be reached leaves its checks open, the others stand", async () => {
  const run = copyOfRun((config) => config.replace(/env:FUNMATCH_TEST_TOKEN/, "env:FUNMATCH_NO_TOKEN"));
  const { code, checks } = await audited(run);
  expect(code).toBe(0);
  expect(checks.find(({ name }) => name === "answers")).toMatchObject({ result: "open" });
  expect(checks.find(({ name }) => name === "batches")).toMatchObject({ result: "passed" });
}, 60_000);
