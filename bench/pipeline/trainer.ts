import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { cpuSecondsOf } from "../serve/process-tree.ts";
import { bound } from "./cores.ts";

/** `funmatch train` as a user runs it, stopped (SIGSTOP) but for its turns. */
export interface Trainer {
  pid: number;
  /** Lets it train for so long. */
  turn(seconds: number): Promise<void>;
  /** Ends it and answers what its metrics tell of each turn. */
  end(): Promise<Turn[]>;
  kill(): void;
}

/** Steps of one turn, but for the one in which it began and those whose answers may have come while it was stopped. */
export interface Turn {
  /** Of each step, in seconds, from the moment in which the loop wanted it to its end: views, teacher and student. */
  steps: number[];
  /** Of these seconds, spent standing idle for the teacher alone. */
  waitedSeconds: number;
  /** Of the whole turn: its length, the processor time of the process, and all its steps. */
  whole: { seconds: number; cpuSeconds: number; steps: number };
}

/** More steps than it takes in all its turns. */
const STEPS = 1_000_000;

/**
 * Starts a run in a new folder below `folder`, lets it warm up, and stops it.
 *
 * @param o.inFlight steps that may be answered while it is stopped
 * @throws Error with its last words if it ends by itself
 */
export async function startTrainer(
  config: object,
  o: { folder: string; name: string; core?: number; inFlight: number },
): Promise<Trainer> {
  const place = join(o.folder, o.name);
  mkdirSync(place);
  const path = join(place, "run.yaml");
  writeFileSync(
    path,
    stringify({
      ...{ ...config, run: "run", length: { steps: STEPS }, log: { everySteps: 1 } },
      checkpoint: { everySteps: STEPS }, // beside the steps: a stop would not be found in their times
    }),
  );
  const cli = fileURLToPath(new URL("../../student-trainer/cli.ts", import.meta.url));
  const [program, args] = bound([process.execPath, cli, "train", path], o.core);
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text) => {
      said = (said + text).slice(-4000);
    });
  const checkAlive = () => {
    if (hasEnded(child)) throw new Error(`${o.name} ended with status ${child.exitCode}:\n${said}`);
  };
  const metrics = join(place, "run", "metrics.jsonl");
  // A run's first figures reach the disk after five seconds of training, or 256 steps.
  while (!((statSync(metrics, { throwIfNoEntry: false })?.size ?? 0) > 0)) {
    await sleep(50);
    checkAlive();
  }
  child.kill("SIGSTOP");
  const pid = child.pid!;
  let stoppedAt = performance.now();
  let shortestStop = Number.POSITIVE_INFINITY;
  const wholes: Omit<Turn["whole"], "steps">[] = [];
  return {
    pid,
    async turn(seconds) {
      shortestStop = Math.min(shortestStop, performance.now() - stoppedAt);
      const [before, began] = [cpuSecondsOf(pid), performance.now()];
      child.kill("SIGCONT");
      await sleep(seconds * 1000);
      child.kill("SIGSTOP");
      checkAlive();
      stoppedAt = performance.now();
      wholes.push({ seconds: (stoppedAt - began) / 1000, cpuSeconds: cpuSecondsOf(pid) - before });
    },
    async end() {
      shortestStop = Math.min(shortestStop, performance.now() - stoppedAt);
      child.kill("SIGTERM");
      child.kill("SIGCONT");
      if (!hasEnded(child)) await once(child, "close");
      const turns = turnsIn(metrics, shortestStop / 1000);
      return wholes.map((whole, i) => turnOf(turns[i] ?? [], whole, o.inFlight));
    },
    kill: () => void child.kill("SIGKILL"),
  };
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

interface Line {
  stepSeconds?: number;
  waitedSeconds?: number;
}

/** Cuts metrics where a step took nearly as long as the shortest stop, or longer: there a turn begins. */
function turnsIn(path: string, stopSeconds: number): Line[][] {
  const turns: Line[][] = [[]];
  for (const text of readFileSync(path, "utf8").trim().split("\n")) {
    const line = JSON.parse(text) as Line;
    if (line.stepSeconds === undefined) continue;
    if (line.stepSeconds > 0.5 * stopSeconds) turns.push([]);
    else turns.at(-1)!.push(line);
  }
  return turns.slice(1);
}

function turnOf(lines: Line[], whole: Omit<Turn["whole"], "steps">, inFlight: number): Turn {
  const counted = lines.slice(inFlight);
  return {
    steps: counted.map(({ stepSeconds }) => stepSeconds!),
    waitedSeconds: counted.reduce((sum, { waitedSeconds = 0 }) => sum + waitedSeconds, 0),
    whole: { ...whole, steps: lines.length },
  };
}
