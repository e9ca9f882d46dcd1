import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Exchange, type MeddlingProxy, startProxy } from "./proxy.ts";
import {
  type Finished,
  startFunmatch,
  startSmallTeacher,
  TOKEN,
  temporaryFolder,
  writeRunConfig,
} from "./services.ts";

const STEPS = 12;
let teacher: TeacherProcess;

beforeAll(async () => {
  teacher = await startSmallTeacher({ folder: temporaryFolder("teacher"), resolution: 32, classes: 10 });
});
afterAll(() => teacher?.close());

function runConfig(url: string): object {
  return {
    run: "run",
    data: { train: { fashion: "train" } },
    teachers: [{ url: `${url}/v1/models/prof`, key: TOKEN }],
    design: "funmatch",
    student: { model: "bit", blocks: [1], width: 0.5, resolution: 32 },
    batch: 16,
    length: { steps: STEPS },
    optimizer: { learningRate: 1e-3 },
    log: { everySteps: 1 },
    inFlight: 4,
  };
}

async function trainThrough(proxy: MeddlingProxy): Promise<Finished & { folder: string }> {
  const folder = temporaryFolder("consistency");
  const path = writeRunConfig(folder, runConfig(proxy.url));
  const finished = await startFunmatch(["train", path]).finished;
  proxy.close();
  return { ...finished, folder: join(folder, "run") };
}

function appliedSteps(folder: string): number[] {
  const path = join(folder, "ledger.jsonl");
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").trim().split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line).step).filter((step) => step > 0);
}

test("an honest proxy: every step is verified", async () => {
  const { code, output, folder } = await trainThrough(
    await startProxy(teacher.url, (_, body, pass) => pass(body)),
  );
  expect(code, output).toBe(0);
  const summary = JSON.parse(readFileSync(join(folder, "summary.json"), "utf8"));
  expect(summary).toMatchObject({ steps: STEPS, verifiedSteps: STEPS });
});

test("one flipped byte of one batch stops the run before that step is applied", async () => {
  let flipped = 0;
  const proxy = await startProxy(teacher.url, (call, body, pass) => {
    if (call === 5) {
      flipped = body.length - 1000;
      body[flipped] = (body[flipped] as number) ^ 1;
    }
    return pass(body);
  });
  const { code, output, folder } = await trainThrough(proxy);
  expect(flipped).toBeGreaterThan(0);
  expect(code, output).toBe(2);
  expect(output).toContain("digest");
  expect(appliedSteps(folder)).not.toContain(STEPS);
  expect(appliedSteps(folder).length).toBeLessThanOrEqual(4);
  expect(existsSync(join(folder, "summary.json"))).toBe(false);
});

test("two swapped answers stop the run before either step is applied", async () => {
  const second = Promise.withResolvers<Exchange>();
  const third = Promise.withResolvers<Exchange>();
  let asked = 0;
  const proxy = await startProxy(teacher.url, async (_, body, pass) => {
    if (body.subarray(0, 64).includes("eval")) return pass(body); // the contract check
    const call = ++asked;
    if (call === 2) {
      second.resolve(await pass(body));
      return third.promise;
    }
    if (call === 3) {
      third.resolve(await pass(body));
      return second.promise;
    }
    return pass(body);
  });
  const { code, output, folder } = await trainThrough(proxy);
  expect(code, output).toBe(2);
  expect(output).toMatch(/digest|answer is for/);
  expect(appliedSteps(folder)).not.toContain(STEPS);
  expect(appliedSteps(folder).length).toBeLessThanOrEqual(3);
});
