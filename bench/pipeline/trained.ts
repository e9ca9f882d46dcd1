import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { bound } from "./cores.ts";

/** What a run's metrics tell of its steps after the first `warmUp`. */
export interface Trained {
  steps: number;
  /** From the moment in which the loop wanted the step to its end: views, teacher and student. */
  seconds: number;
  /** Of these, spent standing idle for the teacher alone. */
  waitedSeconds: number;
  /** The whole process, with its start and end. */
  processSeconds: number;
}

/**
 * `funmatch train` with this config, as a user runs it, in a new folder below `folder`.
 *
 * @throws Error with its last words if it fails
 */
export async function trained(
  config: object,
  o: { folder: string; name: string; core?: number; warmUp: number },
): Promise<Trained> {
  const place = join(o.folder, o.name);
  mkdirSync(place);
  const path = join(place, "run.yaml");
  writeFileSync(path, stringify({ ...config, run: "run" }));
  const cli = fileURLToPath(new URL("../../student-trainer/cli.ts", import.meta.url));
  const [program, args] = bound([process.execPath, cli, "train", path], o.core);
  const began = performance.now();
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text) => {
      said = (said + text).slice(-4000);
    });
  const [status] = await once(child, "close");
  if (status !== 0) throw new Error(`${o.name} ended with status ${status}:\n${said}`);
  const processSeconds = (performance.now() - began) / 1000;
  return { ...stepsOf(join(place, "run", "metrics.jsonl"), o.warmUp), processSeconds };
}

function stepsOf(path: string, warmUp: number): Omit<Trained, "processSeconds"> {
  type Line = { step: number; stepSeconds?: number; waitedSeconds?: number };
  const lines = readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line)
    .filter(({ step, stepSeconds }) => step > warmUp && stepSeconds !== undefined);
  const sum = (of: (line: Line) => number) => lines.reduce((total, line) => total + of(line), 0);
  return {
    steps: lines.length,
    seconds: sum(({ stepSeconds }) => stepSeconds!),
    waitedSeconds: sum(({ waitedSeconds }) => waitedSeconds ?? 0),
  };
}
