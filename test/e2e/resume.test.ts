import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, expect, test } from "vitest";
import { lines, outcome } from "./outcome.ts";
import { type MeddlingProxy, startProxy } from "./proxy.ts";
import {
  SMALL_RUN,
  startFunmatch,
  startSmallTeacher,
  TOKEN,
  temporaryFolder,
  writeRunConfig,
} from "./services.ts";

const STEPS = 40;
const killBeforeRename = fileURLToPath(new URL("./kill-before-rename.ts", import.meta.url));

let teacher: TeacherProcess;
beforeAll(async () => {
  teacher = await startSmallTeacher({ folder: temporaryFolder("teacher"), resolution: 32, classes: 10 });
});
afterAll(() => teacher?.close());

/** Answers a little late, so that several requests are always in flight. */
function slowProxy(onCall: (call: number) => void = () => {}): Promise<MeddlingProxy> {
  return startProxy(teacher.url, async (call, body, pass) => {
    onCall(call);
    await new Promise((resolve) => setTimeout(resolve, 60));
    return pass(body);
  });
}

function runConfig(folder: string, url: string): string {
  return writeRunConfig(folder, {
    ...SMALL_RUN,
    seed: 7,
    teachers: [{ url: `${url}/v1/models/prof`, key: TOKEN }],
    length: { steps: STEPS },
    schedule: { warmupSteps: 5 },
    evaluate: { everySteps: 20, splits: ["validation"], batch: 100 },
    checkpoint: { everySteps: 7 },
    inFlight: 6,
  });
}

test("a run killed at five random points ends as an undisturbed one, bit for bit", async () => {
  const undisturbed = temporaryFolder("undisturbed");
  const calm = await slowProxy();
  const first = await startFunmatch(["train", runConfig(undisturbed, calm.url)]).finished;
  calm.close();
  expect(first.code, first.output).toBe(0);

  const killed = temporaryFolder("killed");
  const run = join(killed, "run");
  let atCall = Number.POSITIVE_INFINITY;
  let kill = (_inFlight: number): void => {};
  let calls = 0;
  const proxy = await slowProxy(() => {
    if (++calls >= atCall && proxy.open() >= 4) kill(proxy.open());
  });
  const config = runConfig(killed, proxy.url);

  const renameAt = 1 + Math.floor(Math.random() * 2);
  const byRename = await startFunmatch(["train", config], {
    preload: [killBeforeRename],
    env: { FUNMATCH_TEST_KILL_AT_RENAME: String(renameAt) },
  }).finished;
  console.log(`kill 1: between write and rename of checkpoint ${renameAt}`);
  expect(byRename.signal, byRename.output).toBe("SIGKILL");
  expect(readdirSync(join(run, "checkpoints")).some((name) => name.endsWith(".draft"))).toBe(true);

  for (let n = 2; n <= 5; n++) {
    calls = 0;
    atCall = 8 + Math.floor(Math.random() * 16);
    const { child, finished } = startFunmatch(["train", config]);
    let inFlight = 0;
    kill = (open) => {
      inFlight ||= open;
      child.kill("SIGKILL");
    };
    const { signal, output } = await finished;
    console.log(`kill ${n}: at request ${atCall} of this sitting, ${inFlight} in flight`);
    expect(signal, output).toBe("SIGKILL");
    expect(inFlight).toBeGreaterThanOrEqual(4);
    expect(existsSync(join(run, "summary.json"))).toBe(false);
  }

  kill = () => {};
  const last = await startFunmatch(["train", config]).finished;
  proxy.close();
  expect(last.code, last.output).toBe(0);
  expect(outcome(run)).toEqual(outcome(join(undisturbed, "run")));
  const summary = JSON.parse(readFileSync(join(run, "summary.json"), "utf8"));
  expect(summary).toMatchObject({ steps: STEPS, verifiedSteps: STEPS });
}, 300_000);

test("SIGINT makes a checkpoint and ends; the same command goes on", async () => {
  const folder = temporaryFolder("interrupted");
  let child: ReturnType<typeof startFunmatch>["child"] | undefined;
  const proxy = await slowProxy((call) => {
    if (call === 20) child?.kill("SIGINT");
  });
  const config = runConfig(folder, proxy.url);
  const sitting = startFunmatch(["train", config]);
  child = sitting.child;
  const { code, output } = await sitting.finished;
  expect(code, output).toBe(0);
  expect(output).toMatch(/stopped after step \d+ of 40/);
  const stoppedAt = Number(/stopped after step (\d+)/.exec(output)?.[1]);
  expect(lines(join(folder, "run", "ledger.jsonl"))).toHaveLength(1 + stoppedAt);

  child = undefined;
  const rest = await startFunmatch(["train", config]).finished;
  proxy.close();
  expect(rest.code, rest.output).toBe(0);
  expect(outcome(join(folder, "run")).step).toBe(STEPS);
}, 120_000);

test("SIGINT during an evaluation: the same command makes up for it", async () => {
  const folder = temporaryFolder("interrupted-evaluation");
  let child: ReturnType<typeof startFunmatch>["child"] | undefined;
  let training = false; // the contract check asks before
  const proxy = await startProxy(teacher.url, async (_, body, pass) => {
    training ||= body.subarray(0, 64).includes("train");
    if (training && body.subarray(0, 64).includes("eval")) {
      child?.kill("SIGINT");
      child = undefined; // a second one would end the process at once
    }
    return pass(body);
  });
  const config = runConfig(folder, proxy.url);
  const sitting = startFunmatch(["train", config]);
  child = sitting.child;
  const { code, output } = await sitting.finished;
  expect(code, output).toBe(0);
  expect(output).toContain("stopped after step 20 of 40");

  child = undefined;
  const rest = await startFunmatch(["train", config]).finished;
  proxy.close();
  expect(rest.code, rest.output).toBe(0);
  const evaluated = outcome(join(folder, "run")).metrics.filter((line) => "split" in line);
  expect(evaluated.map((line) => line.step)).toEqual([20, 40]);
}, 120_000);
