import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bottleneckOf } from "../../student-trainer/plan/bottleneck.ts";
import { startProxy } from "../e2e/proxy.ts";
import { startFunmatch, startSmallTeacher, TOKEN, temporaryFolder, writeRunConfig } from "../e2e/services.ts";
import { LABEL_RUN, trainFromLabels } from "./label-run.ts";

let teacher: TeacherProcess;
beforeAll(async () => {
  teacher = await startSmallTeacher({ folder: temporaryFolder("teacher"), resolution: 16, classes: 10 });
});
afterAll(() => teacher?.close());

/** A run behind a slow line: with one request in flight a step takes what the line takes. */
function slowRun(folder: string, url: string, more: object = {}): string {
  return writeRunConfig(folder, {
    ...LABEL_RUN,
    design: "funmatch",
    teachers: [{ url: `${url}/v1/models/prof`, key: TOKEN }],
    length: { steps: 20 },
    inFlight: 1,
    ...more,
  });
}

test("a plan names the bottleneck and foretells time and bytes; the run's folder stays as it is", async () => {
  let images = 0;
  const proxy = await startProxy(teacher.url, async (_, body, pass) => {
    images += 8;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return pass(body);
  });
  const folder = temporaryFolder("plan");
  const path = slowRun(folder, proxy.url);
  const { code, output } = await startFunmatch(["plan", path, "--seconds", "8"]).finished;
  expect(code, output).toBe(0);
  expect(existsSync(join(folder, "run"))).toBe(false);
  expect(output).toMatch(/^bottleneck +link/m);
  const sent = Number(/measured with +(\d+) images/.exec(output)?.[1]);
  expect(sent).toBeGreaterThanOrEqual(images);
  expect(sent - images).toBeLessThanOrEqual(8); // the last step of the rehearsal, given up before it left
  const [, bytes, asked] = /to send +([\d.]+) kB for (\d+) images/.exec(output) ?? [];
  expect([Number(bytes), Number(asked)]).toEqual(
    [(20 * 8 * 16 * 16 * 3) / 1000, 20 * 8].map((n) => Number(n.toPrecision(3))),
  );
  const planned = Number(/time left +(\d+) s/.exec(output)?.[1]);

  const began = performance.now();
  const run = await startFunmatch(["train", path]).finished;
  const seconds = (performance.now() - began) / 1000;
  proxy.close();
  expect(run.code, run.output).toBe(0);
  console.log(`planned ${planned} s, took ${seconds.toFixed(1)} s`);
  expect(planned).toBeGreaterThan(0.4 * seconds);
  expect(planned).toBeLessThan(2 * seconds);
}, 120_000);

test("of a run that has begun the rest is planned", async () => {
  const folder = temporaryFolder("plan-rest");
  const begun = await trainFromLabels(folder, { length: { steps: 6 } });
  expect(begun.code, begun.output).toBe(0);
  const before = readdirSync(join(folder, "run"), { recursive: true }).sort();
  const path = writeRunConfig(folder, { ...LABEL_RUN, length: { steps: 50 } });
  const { code, output } = await startFunmatch(["plan", path, "--seconds", "2"]).finished;
  expect(code, output).toBe(0);
  expect(output).toMatch(/^steps +44 after step 6$/m);
  expect(output).not.toContain("to send");
  expect(readdirSync(join(folder, "run"), { recursive: true }).sort()).toEqual(before);
}, 60_000);

test("a time that a run has settled as steps is not planned anew", async () => {
  const folder = temporaryFolder("plan-time");
  const begun = await trainFromLabels(folder, { length: { time: "1h", steps: 6 } });
  expect(begun.code, begun.output).toBe(0);
  const path = writeRunConfig(folder, { ...LABEL_RUN, length: { time: "1h" } });
  const { output } = await startFunmatch(["plan", path, "--seconds", "1"]).finished;
  expect(output).toMatch(/^steps +0 after step 6$/m);
}, 60_000);

test("the slowest part is the bottleneck; of teacher and link the one that takes the time", () => {
  const pace = (images: number) => ({ images, seconds: 1 });
  const teacherOf = (computePerImage?: number) => [
    { ...pace(100), name: "prof", inProcess: false, asked: 0, computePerImage },
  ];
  expect(bottleneckOf({ views: pace(50), teachers: teacherOf(0.001), student: pace(60) }).part).toBe("views");
  expect(bottleneckOf({ views: pace(500), teachers: [], student: pace(60) }).part).toBe("student");
  expect(bottleneckOf({ views: pace(500), teachers: teacherOf(0.009), student: pace(600) }).part).toBe(
    "teacher",
  );
  expect(bottleneckOf({ views: pace(500), teachers: teacherOf(0.001), student: pace(600) }).part).toBe(
    "link",
  );
  expect(bottleneckOf({ views: pace(500), teachers: teacherOf(), student: pace(600) }).part).toContain(
    "or link",
  );
});
