import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startProxy } from "./proxy.ts";
import { startFunmatch, startSmallTeacher, TOKEN, temporaryFolder, writeRunConfig } from "./services.ts";

const STEPS = 4;
const services: Record<16 | 32, TeacherProcess | undefined> = { 16: undefined, 32: undefined };

beforeAll(async () => {
  for (const resolution of [16, 32] as const) {
    const folder = temporaryFolder("teacher");
    services[resolution] = await startSmallTeacher({ folder, resolution, classes: 10 });
  }
});
afterAll(async () => {
  for (const service of Object.values(services)) await service?.close();
});

function runConfig(design: string, url: string, more: object = {}): { path: string; run: string } {
  const folder = temporaryFolder("design");
  const path = writeRunConfig(folder, {
    run: "run",
    data: { train: { fashion: "validation" }, test: { fashion: "test" } },
    teachers: design === "labels" ? [] : [{ url: `${url}/v1/models/prof`, key: TOKEN }],
    design,
    student: { model: "bit", blocks: [1], width: 0.5, resolution: 16 },
    batch: 16,
    ...(design === "labels" ? {} : { chunk: 10 }),
    length: { steps: STEPS },
    optimizer: { learningRate: 1e-3 },
    evaluate: { splits: ["test"], batch: 200 },
    log: { everySteps: 1 },
    inFlight: 2,
    workers: 1,
    threads: 1,
    ...more,
  });
  return { path, run: join(folder, "run") };
}

type Line = {
  step: number;
  digest: string;
  teacherDigest?: string;
  chunks?: { digest: string }[];
  verified: boolean;
};
/** The lines of the steps, without the head. */
const ledgerOf = (run: string): Line[] =>
  readFileSync(join(run, "ledger.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ step }) => step > 0);

async function trained(design: string, more: object = {}) {
  const resolution = "teachers" in more ? 32 : 16;
  const { path, run } = runConfig(design, services[resolution]!.url, more);
  const { code, output } = await startFunmatch(["train", path]).finished;
  expect(code, output).toBe(0);
  const summary = JSON.parse(readFileSync(join(run, "summary.json"), "utf8"));
  const report = readFileSync(join(run, "report.html"), "utf8");
  return { run, summary, report, ledger: ledgerOf(run) };
}

test.each(["same/rc", "same/ic", "funmatch"])(
  "%s: the teacher answers for the student's bytes",
  async (design) => {
    const { summary, report, ledger } = await trained(design);
    expect(summary).toMatchObject({ steps: STEPS, verifiedSteps: STEPS });
    expect(ledger.every((line) => line.verified && line.teacherDigest === undefined)).toBe(true);
    expect(ledger.every(({ chunks }) => chunks?.length === 2)).toBe(true);
    expect(report).toContain("What the teacher saw");
  },
);

test.each(["ind/rc", "ind/ic"])("%s: the teacher answers for bytes of its own", async (design) => {
  const { summary, report, ledger } = await trained(design);
  expect(summary).toMatchObject({ steps: STEPS, verifiedSteps: STEPS });
  expect(ledger.every((line) => line.verified && line.teacherDigest !== line.digest)).toBe(true);
  expect(new Set(ledger.flatMap(({ digest, teacherDigest }) => [digest, teacherDigest])).size).toBe(
    2 * STEPS,
  );
  expect(report).toContain("in pairs of rows");
});

test.each(["fix/rs", "fix/cc", "fix/ic_ens"])("%s: the teacher is asked once", async (design) => {
  const { summary, report, ledger } = await trained(design, design === "fix/ic_ens" ? { ensemble: 3 } : {});
  expect(summary).toMatchObject({ steps: STEPS, verifiedSteps: 0 });
  expect(ledger.every((line) => !line.verified && line.chunks === undefined)).toBe(true);
  expect(report.includes("in pairs of rows")).toBe(design !== "fix/rs");
});

test("funmatch with a lambda for each example", async () => {
  const { run, summary } = await trained("funmatch", { mixup: { lambda: "example" } });
  expect(summary).toMatchObject({ steps: STEPS, verifiedSteps: STEPS });
  expect(readFileSync(join(run, "config.yaml"), "utf8")).toContain("lambda: example");
});

test("labels: there is no teacher", async () => {
  const { summary, report } = await trained("labels");
  expect(summary).toMatchObject({ steps: STEPS, verifiedSteps: 0, teacher: null });
  expect(report).toContain("What the student saw");
});

test("a teacher that takes another resolution is asked at its own, in training and evaluation", async () => {
  const teachers = [{ url: `${services[32]!.url}/v1/models/prof`, key: TOKEN, resolution: 32 }];
  const { summary, ledger, report } = await trained("funmatch", { teachers });
  expect(summary).toMatchObject({ steps: STEPS, verifiedSteps: STEPS });
  expect(summary.agreement.test).toBeGreaterThanOrEqual(0);
  expect(ledger.every((line) => line.teacherDigest !== undefined)).toBe(true);
  expect(report).toContain("the same at its resolution");
});

test("ind/ic, killed in between, ends as an undisturbed run, bit for bit", async () => {
  const settings = { length: { steps: 24 }, checkpoint: { everySteps: 3 } };
  const calm = await trained("ind/ic", settings);
  let kill = () => {};
  const proxy = await startProxy(services[16]!.url, async (call, body, pass) => {
    if (call === 21) kill();
    return pass(body);
  });
  const { path, run } = runConfig("ind/ic", proxy.url, { ...settings, workers: 2 });
  const { child, finished } = startFunmatch(["train", path]);
  kill = () => void child.kill("SIGKILL");
  const { signal, output } = await finished;
  expect(signal, output).toBe("SIGKILL");
  expect(existsSync(join(run, "summary.json"))).toBe(false);
  const rest = await startFunmatch(["train", path]).finished;
  proxy.close();
  expect(rest.code, rest.output).toBe(0);
  expect(ledgerOf(run)).toEqual(calm.ledger);
  const summary = JSON.parse(readFileSync(join(run, "summary.json"), "utf8"));
  expect(summary.student.parametersSha256).toBe(calm.summary.student.parametersSha256);
});
