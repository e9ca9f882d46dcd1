import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type GatewayOptions, type LocalGateway, startGateway } from "funmatch-gateway/dev";
import type { TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, expect, test } from "vitest";
import { outcome } from "./outcome.ts";
import { SMALL_RUN, startFunmatch, startSmallTeacher, temporaryFolder, writeRunConfig } from "./services.ts";

/** Trainer, gateway and teacher, each of them a process of its own, killed again and again within one run. */

const KILLS = 20;
const STEPS = 480;
const CHECKPOINT = 4;

const secret = "shared-by-gateway-and-teacher";
const teacherFolder = temporaryFolder("kills-teacher");
let teacher: TeacherProcess;
let gateway: LocalGateway;
let gatewayOptions: GatewayOptions;
let key = "";

async function startTeacher(): Promise<void> {
  const port = teacher ? Number(new URL(teacher.url).port) : 0;
  teacher = await startSmallTeacher({ folder: teacherFolder, resolution: 32, classes: 10, port, secret });
}

beforeAll(async () => {
  await startTeacher();
  gatewayOptions = { teacherUrl: teacher.url, secret, stateDir: temporaryFolder("kills-gateway") };
  gateway = await startGateway(gatewayOptions);
  gatewayOptions.port = Number(new URL(gateway.url).port);
  ({ key } = await gateway.createKey("kills", ["train", "eval"]));
}, 60_000);
afterAll(async () => {
  await gateway?.close();
  await teacher?.close();
});

function runConfig(folder: string): string {
  return writeRunConfig(folder, {
    ...SMALL_RUN,
    seed: 11,
    teachers: [{ url: `${gateway.url}/v1/models/prof`, key: "env:KILLS_KEY" }],
    length: { steps: STEPS },
    evaluate: { everySteps: 200, splits: ["validation"], batch: 100 },
    checkpoint: { everySteps: CHECKPOINT },
  });
}

const startTrainer = (config: string) => startFunmatch(["train", config], { env: { KILLS_KEY: key } });

/** The step of the newest checkpoint, 0 where there is none. */
function standing(run: string): number {
  try {
    const whole = readdirSync(join(run, "checkpoints")).filter((name) => /\d$/.test(name));
    return Math.max(0, ...whole.map((name) => Number(/\d+$/.exec(name)?.[0])));
  } catch {
    return 0;
  }
}

/** Names in random order, each of them about as often as the others. */
function turns<Name>(names: Name[]): Name[] {
  return Array.from({ length: KILLS }, (_, i) => ({ name: names[i % names.length]!, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ name }) => name);
}

test("20 kills of trainer, gateway and teacher change nothing", async () => {
  const undisturbed = temporaryFolder("kills-undisturbed");
  const calm = await startTrainer(runConfig(undisturbed)).finished;
  expect(calm.code, calm.output).toBe(0);

  const folder = temporaryFolder("kills");
  const run = join(folder, "run");
  const config = runConfig(folder);
  let trainer = startTrainer(config);
  let killed = 0;

  /** Each kills one of the three as it is, and starts it again. */
  const victims = {
    trainer: async () => {
      trainer.child.kill("SIGKILL");
      const { signal, output } = await trainer.finished;
      expect(signal, output).toBe("SIGKILL");
      trainer = startTrainer(config);
    },
    gateway: async () => {
      process.kill(-gateway.pid, "SIGKILL");
      await gateway.close();
      gateway = await startGateway(gatewayOptions);
    },
    teacher: async () => {
      teacher.child.kill("SIGKILL");
      await teacher.close();
      await startTeacher();
    },
  };

  for (const name of turns(Object.keys(victims) as (keyof typeof victims)[])) {
    const from = standing(run) + CHECKPOINT * Math.floor(1 + Math.random() * 3);
    while (standing(run) < from) {
      expect(trainer.child.exitCode, "the trainer ended by itself before all kills").toBeNull();
      await sleep(10);
    }
    const delay = Math.floor(Math.random() * 60);
    await sleep(delay);
    console.log(`kill ${++killed}: ${name}, ${delay} ms after the checkpoint of step ${standing(run)}`);
    await victims[name]();
  }
  const last = await trainer.finished;
  expect(last.code, last.output).toBe(0);
  expect(outcome(run)).toEqual(outcome(join(undisturbed, "run")));
  const summary = JSON.parse(readFileSync(join(run, "summary.json"), "utf8"));
  expect(summary).toMatchObject({ steps: STEPS, verifiedSteps: STEPS });
}, 600_000);
