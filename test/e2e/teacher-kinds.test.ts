import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { recordsOf } from "../../student-trainer/learn/ledger.ts";
import { writePicture } from "../data/pictures.ts";
import { pythonServer } from "./python.ts";
import {
  startFunmatch,
  startSmallTeacher,
  TOKEN,
  temporaryFolder,
  writeRunConfig,
  writeTeacherWeights,
} from "./services.ts";

const STEPS = 4;
const LONGER = { length: { steps: 8 }, checkpoint: { everySteps: 2, keep: 9 } };
const folder = temporaryFolder("kinds");
let server: Awaited<ReturnType<typeof pythonServer>>;

beforeAll(async () => {
  for (let i = 0; i < 20; i++) await writePicture(join(folder, "images", `class-${i % 5}`, `${i}.png`), i);
  await writeTeacherWeights(join(folder, "one.npz"), { blocks: [1], width: 0.5, classes: 5 });
  await writeTeacherWeights(join(folder, "two.npz"), { blocks: [1], width: 0.5, classes: 5 }, 2);
  const model = { datatype: "UINT8", layout: "nhwc", shape: [-1, -1, -1, 3], kind: "logits", output: "FP32" };
  const options = JSON.stringify({ ...model, binary: true, versions: ["1"] });
  server = await pythonServer(fileURLToPath(new URL("../teach/oip-server.py", import.meta.url)), [options]);
}, 60_000);
afterAll(() => server?.stop());

const file = (name: string) => ({ file: name, resolution: 24, valueRange: [-1, 1] });

function runConfig(run: string, more: object): string {
  return writeRunConfig(folder, {
    run,
    data: { train: { folder: "images" }, test: { folder: "images" } },
    design: "funmatch",
    student: { model: "bit", blocks: [1], width: 0.5, resolution: 16 },
    batch: 8,
    length: { steps: STEPS },
    optimizer: { learningRate: 1e-3 },
    evaluate: { splits: ["test"], batch: 20 },
    checkpoint: { everySteps: 2 },
    workers: 1,
    threads: 1,
    ...more,
  });
}

async function funmatch(...args: string[]): Promise<string> {
  const { code, output } = await startFunmatch(args).finished;
  expect(code, output).toBe(0);
  return output;
}

const summaryOf = (run: string) => JSON.parse(readFileSync(join(folder, run, "summary.json"), "utf8"));
const ledgerOf = (run: string) =>
  readFileSync(join(folder, run, "ledger.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ step }) => step > 0);

test("a file in the same process teaches: verified, audited; another file only if accepted, as the ledger tells", async () => {
  await funmatch("train", runConfig("file", { ...LONGER, teachers: [file("one.npz")] }));
  expect(summaryOf("file")).toMatchObject({ steps: 8, verifiedSteps: 8 });
  const audit = await funmatch("audit", join(folder, "file"));
  expect(audit).toMatch(/same bytes +passed/);
  expect(audit).toMatch(/answers +passed +8 steps, asked about again, got the same logits bit for bit/);

  // As if it had been killed after step 4, and the teacher replaced.
  const checkpoints = join(folder, "file", "checkpoints");
  for (const name of readdirSync(checkpoints).slice(2)) rmSync(join(checkpoints, name), { recursive: true });
  const args = ["train", runConfig("file", { ...LONGER, teachers: [file("two.npz")] })];
  const refused = await startFunmatch(args).finished;
  expect(refused.code).toBe(2);
  expect(refused.output).toMatch(/two\.npz serves sha256:.*, but this run began with .*--accept-teacher/);
  expect(await funmatch(...args, "--accept-teacher")).toMatch(
    /two\.npz is sha256:.* from here on, as accepted/,
  );
  const lines = ledgerOf("file");
  const versions = lines.map((line) => recordsOf(line)[0]!.teacherVersion);
  expect(new Set(versions).size).toBe(2);
  expect(lines.map(({ replaces }) => replaces)).toEqual(
    Array.from({ length: 8 }, (_, i) => (i === 4 ? versions[0] : undefined)),
  );
  // Without the word it goes on with the new one, which is the run's from now on.
  await funmatch(...args);
  const again = await funmatch("audit", join(folder, "file"));
  expect(again).toMatch(/one teacher +passed .*, from step 5 on sha256:\w+ taught.*, as was accepted/);
}, 90_000);

test("an OIP server teaches, unverified: summary, ledger, report and audit say so", async () => {
  const url = `oip+http://127.0.0.1:${server.line}/v2/models/mean`;
  await funmatch("train", runConfig("oip", { teachers: [{ url }] }));
  const summary = summaryOf("oip");
  expect(summary).toMatchObject({ steps: STEPS, verifiedSteps: 0, teacher: { version: "oip:mean:1" } });
  expect(summary.unverified).toMatch(/Open Inference Protocol/);
  for (const line of ledgerOf("oip"))
    expect(recordsOf(line)).toMatchObject([{ teacherVersion: "oip:mean:1", verified: false }]);
  expect(readFileSync(join(folder, "oip", "report.html"), "utf8")).toContain(
    "no digest of what they are for",
  );
  const audit = await funmatch("audit", join(folder, "oip"));
  expect(audit).toMatch(/same bytes +open .*all 4 steps are unverified/);
  expect(audit).toMatch(/answers +passed/);
  expect(audit).toMatch(
    /one teacher +passed .*oip:mean:1.*that is a name, which does not prove the same weights/,
  );
}, 90_000);

test("our own service teaches the same student by either of its protocols", async () => {
  const service = await startSmallTeacher({ folder, resolution: 24, classes: 5 });
  onTestFinished(async () => void (await service.close()));
  for (const [run, url] of Object.entries({ own: service.url, v2: `oip+${service.url}` })) {
    const path = run === "own" ? "/v1/models/prof" : "/v2/models/prof/versions/1";
    await funmatch("train", runConfig(run, { teachers: [{ url: url + path, key: TOKEN, resolution: 24 }] }));
  }
  const [own, v2] = [summaryOf("own"), summaryOf("v2")];
  expect(own).toMatchObject({ steps: STEPS, verifiedSteps: STEPS });
  expect(v2).toMatchObject({ steps: STEPS, verifiedSteps: 0 });
  expect(v2.teacher.version).toBe(`oip:prof:1,${own.teacher.version}`);
  expect(v2.student.parametersSha256).toBe(own.student.parametersSha256);
}, 90_000);

test("a file and an OIP server together: one is verified, the step is not", async () => {
  const url = `oip+http://127.0.0.1:${server.line}/v2/models/mean`;
  await funmatch("train", runConfig("both", { teachers: [file("one.npz"), { url }], combine: "mean" }));
  expect(summaryOf("both")).toMatchObject({ steps: STEPS, verifiedSteps: 0 });
  for (const line of ledgerOf("both")) {
    expect(recordsOf(line).map(({ verified }) => verified)).toEqual([true, false]);
    expect(line.verified).toBe(false);
  }
}, 90_000);

test("a teacher near chance is warned of in terminal and report, and an error where the contract is strict", async () => {
  const config = runConfig("chance", { teachers: [{ ...file("one.npz"), valueRange: [100, 101] }] });
  const output = await funmatch("train", config);
  expect(output).toMatch(/^contract with .*one\.npz: LOOK AT THIS\n {2}version +sha256:/m);
  expect(output).toMatch(/^ {2}WARNING: .* near chance/m);
  const report = readFileSync(join(folder, "chance", "report.html"), "utf8");
  expect(report).toMatch(/<h2>Warnings<\/h2><ul><li>.* near chance/);
  const strict = await startFunmatch(["train", config, "--set", "run=strict", "--set", "contract=strict"])
    .finished;
  expect(strict.code).toBe(2);
  expect(strict.output).toMatch(/^funmatch: .* near chance .*\(contract: strict; mend it/m);
  expect(existsSync(join(folder, "strict", "ledger.jsonl"))).toBe(false);
}, 60_000);
