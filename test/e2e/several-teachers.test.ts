import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readNpz } from "@funmatch/models";
import type { TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, expect, test } from "vitest";
import { recordsOf } from "../../student-trainer/learn/ledger.ts";
import { startProxy } from "./proxy.ts";
import { startFunmatch, startSmallTeacher, TOKEN, temporaryFolder, writeRunConfig } from "./services.ts";

const STEPS = 4;
const env = { FUNMATCH_TEST_TOKEN: TOKEN };
const services: TeacherProcess[] = [];

beforeAll(async () => {
  for (const [i, resolution] of [16, 24].entries()) {
    const folder = temporaryFolder("teacher");
    services.push(await startSmallTeacher({ folder, resolution, classes: 10, seed: 5 + i }));
  }
});
afterAll(async () => {
  for (const service of services) await service.close();
});

const teachers = (urls = services.map(({ url }) => url)) =>
  urls.map((url, i) => ({
    ...{ url: `${url}/v1/models/prof`, key: "env:FUNMATCH_TEST_TOKEN", requests: 4 },
    ...[{ chunk: 8 }, { chunk: 10, resolution: 24 }][i],
  }));

function runConfig(design: string, more: object = {}): { path: string; run: string } {
  const folder = temporaryFolder("several");
  const path = writeRunConfig(folder, {
    run: "run",
    data: { train: { fashion: "validation", split: "[:200]" }, test: { fashion: "test", split: "[:200]" } },
    teachers: teachers(),
    design,
    student: { model: "bit", blocks: [1], width: 0.5, resolution: 16 },
    batch: 16,
    length: { steps: STEPS },
    optimizer: { learningRate: 1e-3 },
    evaluate: { splits: ["test"], batch: 100 },
    workers: 1,
    threads: 1,
    ...more,
  });
  return { path, run: join(folder, "run") };
}

const ledgerOf = (run: string) =>
  readFileSync(join(run, "ledger.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ step }) => step > 0);

async function trained(design: string, more: object = {}) {
  const { path, run } = runConfig(design, more);
  const { code, output } = await startFunmatch(["train", path], { env }).finished;
  expect(code, output).toBe(0);
  return { run, summary: JSON.parse(readFileSync(join(run, "summary.json"), "utf8")), ledger: ledgerOf(run) };
}

test.each([
  ["funmatch", {}],
  ["funmatch", { combine: "mean", accumulate: 2 }],
  ["ind/rc", {}],
  ["fix/ic_ens", { ensemble: 2 }],
])(
  "%s %o: two teachers at their own resolutions teach, and the audit checks each",
  async (design, more) => {
    const { run, summary, ledger } = await trained(design, more);
    const online = design !== "fix/ic_ens";
    expect(summary).toMatchObject({ steps: STEPS, verifiedSteps: online ? STEPS : 0 });
    const versions = summary.teachers.map(({ version }: { version: string }) => version);
    expect(new Set(versions).size).toBe(2);
    for (const line of ledger) {
      const records = recordsOf(line);
      expect(records.map(({ teacherVersion }) => teacherVersion)).toEqual(versions);
      expect(records.map(({ chunks }) => chunks?.length)).toEqual(online ? [2, 2] : [undefined, undefined]);
      expect(records[0]!.logits).not.toBe(records[1]!.logits);
      if (design === "funmatch")
        expect(records.map(({ teacherDigest }) => teacherDigest !== undefined)).toEqual([false, true]);
      if (design === "ind/rc")
        expect(records.every(({ teacherDigest }) => teacherDigest && teacherDigest !== line.digest)).toBe(
          true,
        );
    }
    const arrays = await readNpz(join(run, "predictions-test.npz"));
    expect([...arrays.keys()]).toEqual(["student", "teacher", "teacher_0", "teacher_1", "labels"]);
    const audit = await startFunmatch(["audit", run, "--sample", "2"], { env }).finished;
    expect(audit.code, audit.output).toBe(0);
    expect(audit.output).toMatch(/one teacher \(1\) +passed .*\none teacher \(2\) +passed/);
    expect(audit.output).toMatch(online ? /same bytes +passed/ : /same bytes +open/);
    if (online) expect(audit.output).toMatch(/answers +passed +2 steps/);
  },
  60_000,
);

test("killed while one of its teachers answers, it ends as an undisturbed run, bit for bit", async () => {
  const settings = { length: { steps: 12 }, checkpoint: { everySteps: 3 } };
  const calm = await trained("funmatch", settings);
  let kill = () => {};
  const proxy = await startProxy(services[1]!.url, async (call, body, pass) => {
    if (call === 18) kill();
    return pass(body);
  });
  const urls = [services[0]!.url, proxy.url];
  const { path, run } = runConfig("funmatch", { ...settings, teachers: teachers(urls) });
  const { child, finished } = startFunmatch(["train", path], { env });
  kill = () => void child.kill("SIGKILL");
  const { signal, output } = await finished;
  expect(signal, output).toBe("SIGKILL");
  const rest = await startFunmatch(["train", path], { env }).finished;
  proxy.close();
  expect(rest.code, rest.output).toBe(0);
  expect(ledgerOf(run)).toEqual(calm.ledger);
}, 60_000);
