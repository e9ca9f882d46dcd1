import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type GatewayOptions, type LocalGateway, startGateway } from "funmatch-gateway/dev";
import type { TeacherProcess } from "funmatch-teacher/dev";
import { NEIGHBOUR_IMAGES, type Neighbour, startNeighbour } from "./neighbour.ts";
import { type Operator, operatorOf } from "./operator.ts";
import { lines, outcome } from "./outcome.ts";
import {
  SMALL_RUN,
  startFunmatch,
  startSmallTeacher,
  TOKEN,
  temporaryFolder,
  writeRunConfig,
} from "./services.ts";

/** The real trainer behind the real gateway and two teachers, while everything that an operator and a bad day do is done. */

const BATCH = 16;
const CHUNK = 8;
const CHECKPOINT = 10;
/** Steps that a run asks for before it needs them, at most. */
const AHEAD = 8;
const SIDE = 32;
const secret = "shared-by-gateway-and-teacher";
const NEIGHBOURS = ["shoes", "hats", "coats"];

/** One round of what happens; a long run has several. */
const ROUND: (keyof ReturnType<typeof disturbances>)[] = [
  "another team's key is revoked",
  "a teacher is killed",
  "the quota is used up",
  "the gateway is killed",
  "another team's key is revoked",
  "the run's own key is revoked",
  "the other teacher is killed",
  "the gateway is restarted",
];

/** What came of it. */
export interface Disturbed {
  minutes: number;
  /** Whether steps, ledger, parameters and optimizer are bit for bit those of a run that nobody disturbed. */
  same: boolean;
  summary: { steps: number; verifiedSteps: number };
  ledgerSteps: number[];
  audit: { code: number | null; output: string };
  /** Calls that the run cannot do without, and those that it asked for again after it was stopped, at most. */
  needed: number;
  repeatedAtMost: number;
  /** What the gateway counted for the run. */
  usage: { calls: number; images: number };
  neighbours: (Pick<Neighbour, "team" | "answered" | "held" | "wrong"> & { calls: number; images: number })[];
  /** How the run ended each time that its key was revoked. */
  stops: string[];
  /** Lines in which the run says that its quota makes it wait. */
  waits: number;
  /** What all revoked keys are answered in the end. */
  revoked: number[];
}

interface Stage {
  gateway: LocalGateway;
  restart(): Promise<void>;
  operator: Operator;
  folders: string[];
  teachers: TeacherProcess[];
  neighbours: Neighbour[];
  key: string;
  train(): ReturnType<typeof startFunmatch>;
  trainer: ReturnType<typeof startFunmatch>;
  stops: string[];
  waits: number;
  /** Requests a minute that the run's quota allows, and how many at once after a pause. */
  rate: number;
  burst: number;
}

/**
 * Trains for so many steps at about `rate` requests a minute, its quota being the pace, and disturbs it at even
 * distances.
 *
 * @param o.burst requests that the quota lets through at once after a pause: with a minute's worth the run makes up for
 * an outage, and keeps its rate
 * @param o.rounds how often all of {@link ROUND} happens
 */
export async function disturbedRun(o: {
  steps: number;
  rate: number;
  burst: number;
  rounds: number;
  neighbourEveryMs: number;
  tell: (line: string) => void;
}): Promise<Disturbed> {
  const folders = ["a", "b"].map((name) => temporaryFolder(`disturbed-${name}`));
  const teachers = await Promise.all(folders.map((folder) => startTeacher(folder)));
  const stage = { folders, teachers, rate: o.rate, burst: o.burst, stops: [] as string[], waits: 0 } as Stage;
  stage.neighbours = []; // the others follow in their order
  try {
    const calm = config(o.steps, teachers[0]!.url);
    const undisturbed = await startFunmatch(["train", calm.path], { env: { DISTURBED_KEY: TOKEN } }).finished;
    if (undisturbed.code !== 0) throw new Error(undisturbed.output);

    await openGateway(stage, o.neighbourEveryMs);
    const { path, run } = config(o.steps, stage.gateway.url);
    stage.train = () => startFunmatch(["train", path], { env: { DISTURBED_KEY: stage.key } });
    const began = performance.now();
    stage.trainer = stage.train();
    const events = Array.from({ length: o.rounds }, () => ROUND).flat();
    const happen = disturbances(stage);
    for (const [i, event] of events.entries()) {
      await untilStep(stage, run, Math.floor(((i + 1) * o.steps) / (events.length + 1)));
      const at = `${((performance.now() - began) / 1000).toFixed(0)} s, step ${stepOf(run)}`;
      const said = await happen[event]();
      o.tell(`${at}: ${event}${said ? `: ${said}` : ""}`);
    }
    const last = await stage.trainer.finished;
    const minutes = (performance.now() - began) / 60_000;
    if (last.code !== 0) throw new Error(`the run ended with ${last.code}: ${last.output}`);
    stage.waits += waitsIn(last.output);
    await Promise.all(stage.neighbours.map((neighbour) => neighbour.stop()));
    const { operator } = stage;
    const usage = await operator.usageOf("runners"); // before the audit asks again
    await operator.setQuota("runners", {});
    const env = { DISTURBED_KEY: stage.key };
    const audit = await startFunmatch(["audit", run, "--sample", "20"], { env }).finished;
    return {
      ...{ minutes, usage, audit, stops: stage.stops, waits: stage.waits },
      same: JSON.stringify(outcome(run)) === JSON.stringify(outcome(calm.run)),
      summary: JSON.parse(readFileSync(join(run, "summary.json"), "utf8")),
      ledgerSteps: lines(join(run, "ledger.jsonl")).map(({ step }) => Number(step)),
      needed: (o.steps * BATCH) / CHUNK,
      repeatedAtMost: stage.stops.length * (CHECKPOINT + AHEAD) * (BATCH / CHUNK),
      neighbours: await Promise.all(
        stage.neighbours.map(async ({ team, answered, held, wrong }) => ({
          ...{ team, answered, held, wrong },
          ...(await operator.usageOf(team)),
        })),
      ),
      revoked: await Promise.all(operator.revoked.map(operator.statusOf)),
    };
  } finally {
    stage.trainer?.child.kill("SIGKILL");
    await Promise.all(stage.neighbours.map((neighbour) => neighbour.stop()));
    await stage.gateway?.close();
    await Promise.all(stage.teachers.map((teacher) => teacher.close()));
  }
}

/** The gateway with its teams: the run's, and those beside it. */
async function openGateway(stage: Stage, everyMs: number): Promise<void> {
  const options: GatewayOptions = {
    ...{ teacherUrl: stage.teachers.map(({ url }) => url), secret },
    stateDir: temporaryFolder("disturbed-gateway"),
  };
  stage.gateway = await startGateway(options);
  options.port = Number(new URL(stage.gateway.url).port);
  stage.restart = async () => {
    await stage.gateway.close();
    stage.gateway = await startGateway(options);
  };
  const operator = await operatorOf(() => stage.gateway);
  stage.operator = operator;
  stage.key = await operator.makeKey("runners", ["train", "eval"]);
  await operator.setQuota("runners", pace(stage));
  for (const team of NEIGHBOURS) {
    const key = await operator.makeKey(team, ["train"]);
    const url = () => stage.gateway.url;
    stage.neighbours.push(startNeighbour({ url, team, key, side: SIDE, everyMs }));
  }
  // This one wants twice what it may have.
  const imagesPerMinute = Math.ceil((30_000 / everyMs) * NEIGHBOUR_IMAGES);
  await operator.setQuota("hats", { imagesPerMinute, burstImages: 2 * NEIGHBOUR_IMAGES });
}

function disturbances(stage: Stage) {
  const { operator } = stage;
  let turn = 0;
  const revokeAnother = async () => {
    const neighbour = stage.neighbours[turn++ % stage.neighbours.length]!;
    const old = neighbour.key;
    neighbour.key = await operator.makeKey(neighbour.team, ["train"]);
    return `${neighbour.team}'s, refused ${await operator.revoke(old)} ms later`;
  };
  const killTeacher = async (which: number) => {
    const victim = stage.teachers[which]!;
    victim.child.kill("SIGKILL");
    await victim.close();
    await sleep(1000);
    stage.teachers[which] = await startTeacher(stage.folders[which]!, Number(new URL(victim.url).port));
  };
  return {
    "another team's key is revoked": revokeAnother,
    "a teacher is killed": () => killTeacher(0),
    "the other teacher is killed": () => killTeacher(1),
    "the gateway is restarted": () => stage.restart(),
    "the gateway is killed": () => {
      process.kill(-stage.gateway.pid, "SIGKILL");
      return stage.restart();
    },
    /** It is cut, so that what was used is too much, and given back. Who was told to wait waits on, so it is no deep cut. */
    "the quota is used up": async () => {
      // Of a bucket that is empty the next call is then some 10 s away.
      const imagesPerMinute = Math.max(2 * stage.rate, 6 * stage.burst * CHUNK);
      await operator.setQuota("runners", { imagesPerMinute, burstImages: CHUNK });
      await sleep(2000);
      await operator.setQuota("runners", pace(stage));
    },
    "the run's own key is revoked": async () => {
      const next = await operator.makeKey("runners", ["train", "eval"]);
      await operator.revoke(stage.key);
      const { code, output } = await stage.trainer.finished;
      stage.waits += waitsIn(output);
      const stop = `exit ${code}: ${output.trim().split("\n").at(-1)}`;
      stage.stops.push(stop);
      stage.key = next;
      stage.trainer = stage.train();
      return stop;
    },
  } satisfies Record<string, () => Promise<unknown>>;
}

function pace({ rate, burst }: Stage) {
  return { imagesPerMinute: rate * CHUNK, burstImages: burst * CHUNK };
}

function startTeacher(folder: string, port = 0): Promise<TeacherProcess> {
  return startSmallTeacher({ folder, resolution: SIDE, classes: 10, port, secret });
}

function config(steps: number, url: string): { path: string; run: string } {
  const folder = temporaryFolder("disturbed");
  const path = writeRunConfig(folder, {
    ...SMALL_RUN,
    seed: 13,
    data: { train: { fashion: "train" }, validation: { fashion: "validation", split: "[:200]" } },
    teachers: [{ url: `${url}/v1/models/prof`, key: "env:DISTURBED_KEY", requests: 8 }],
    student: { ...SMALL_RUN.student, resolution: SIDE },
    ...{ batch: BATCH, chunk: CHUNK, length: { steps } },
    evaluate: { everySteps: 10 * steps, splits: ["validation"], batch: 100 },
    checkpoint: { everySteps: CHECKPOINT },
  });
  return { path, run: join(folder, "run") };
}

const waitsIn = (output: string) => output.split("quota_exceeded").length - 1;

function stepOf(run: string): number {
  try {
    return Number(lines(join(run, "metrics.jsonl")).at(-1)?.step ?? 0);
  } catch {
    return 0;
  }
}

async function untilStep(stage: Stage, run: string, step: number): Promise<void> {
  while (stepOf(run) < step) {
    const { child, finished } = stage.trainer;
    if (child.exitCode !== null) throw new Error(`the trainer ended by itself: ${(await finished).output}`);
    await sleep(50);
  }
}
