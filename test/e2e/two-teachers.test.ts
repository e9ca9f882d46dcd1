import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeRequestHead } from "@funmatch/wire";
import { type LocalGateway, startGateway } from "funmatch-gateway/dev";
import type { TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, expect, test } from "vitest";
import { lines, outcome } from "./outcome.ts";
import { SMALL_RUN, startFunmatch, startSmallTeacher, temporaryFolder, writeRunConfig } from "./services.ts";

/** One gateway, two teacher processes with the same weights, one of them killed while a run goes on, and back afterwards. */

const STEPS = 80;
const secret = "shared-by-gateway-and-teacher";
const folders = [temporaryFolder("two-a"), temporaryFolder("two-b")] as const;
const teachers: TeacherProcess[] = [];
let gateway: LocalGateway;
let key = "";

const startTeacher = (folder: string, port = 0) =>
  startSmallTeacher({ folder, resolution: 32, classes: 10, port, secret });

beforeAll(async () => {
  teachers.push(...(await Promise.all(folders.map((folder) => startTeacher(folder)))));
  gateway = await startGateway({ teacherUrl: teachers.map(({ url }) => url), secret });
  ({ key } = await gateway.createKey("two", ["train", "eval"]));
}, 120_000);
afterAll(async () => {
  await gateway?.close();
  await Promise.all(teachers.map((teacher) => teacher.close()));
});

function startRun(name: string) {
  const folder = temporaryFolder(name);
  const config = writeRunConfig(folder, {
    ...SMALL_RUN,
    seed: 12,
    teachers: [{ url: `${gateway.url}/v1/models/prof`, key: "env:TWO_KEY" }],
    length: { steps: STEPS },
    evaluate: { everySteps: 100, splits: ["validation"], batch: 100 },
    checkpoint: { everySteps: 50 },
  });
  return { run: join(folder, "run"), ...startFunmatch(["train", config], { env: { TWO_KEY: key } }) };
}

/** Training and evaluation calls that a teacher has answered, as its own metrics say. */
async function answered({ url }: TeacherProcess): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const counts = [...text.matchAll(/^funmatch_requests_total\{.*code="ok".*\} (\d+)$/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** A training call that the trainer does not make. */
async function post(images: number): Promise<void> {
  const shape = [images, 32, 32, 3];
  const data = Buffer.alloc(images * 32 * 32 * 3, "pixels");
  const digest = `sha256:${createHash("sha256").update(data).digest("hex")}`;
  const answer = await fetch(`${gateway.url}/v1/models/prof/logits`, {
    method: "POST",
    body: Buffer.concat([encodeRequestHead({ purpose: "train", digest, dtype: "uint8", shape }), data]),
    headers: { authorization: `Bearer ${key}`, "content-type": "application/vnd.msgpack" },
  });
  expect(answer.status, await answer.text()).toBe(200);
}

const steps = (run: string) => {
  try {
    return lines(join(run, "metrics.jsonl")).length;
  } catch {
    return 0;
  }
};

test("a teacher is killed in the middle of a run, and no step is lost", async () => {
  const calm = startRun("two-calm");
  const { code, output } = await calm.finished;
  expect(code, output).toBe(0);
  const shares = await Promise.all(teachers.map(answered));
  console.log(`answered: ${shares.join(" and ")} calls`);
  expect(Math.min(...shares)).toBeGreaterThan(0);

  const disturbed = startRun("two-disturbed");
  while (steps(disturbed.run) < 15) {
    expect(disturbed.child.exitCode, "the trainer ended by itself").toBeNull();
    await sleep(20);
  }
  const [victim] = teachers as [TeacherProcess];
  victim.child.kill("SIGKILL");
  await victim.close();
  const killedAt = steps(disturbed.run);
  while (steps(disturbed.run) < killedAt + 20) {
    expect(disturbed.child.exitCode, "the trainer ended by itself").toBeNull();
    await sleep(20);
  }
  const last = await disturbed.finished;
  expect(last.code, last.output).toBe(0);
  console.log(`killed at step ${killedAt}`);
  expect(outcome(disturbed.run)).toEqual(outcome(calm.run));
  const summary = JSON.parse(readFileSync(join(disturbed.run, "summary.json"), "utf8"));
  expect(summary).toMatchObject({ steps: STEPS, verifiedSteps: STEPS });

  // Back again, it is asked again.
  teachers[0] = await startTeacher(folders[0], Number(new URL(victim.url).port));
  const asked = async () => {
    await Promise.all([1, 2, 3, 4].map(post));
    return answered(teachers[0] as TeacherProcess);
  };
  await expect.poll(asked, { timeout: 60_000, interval: 500 }).toBeGreaterThan(0);
}, 300_000);
