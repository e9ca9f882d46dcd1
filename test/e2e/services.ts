import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BitConfig, initBit, writeWeights } from "@funmatch/models";
import { draws } from "@funmatch/views";
import { startTeacherService, type TeacherProcess } from "funmatch-teacher/dev";
import { stringify } from "yaml";

export const TOKEN = "token-of-the-end-to-end-tests";

export function temporaryFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `funmatch-${name}-`));
}

/** Weights of a small network whose answers differ from image to image, since its head is not zero. */
export async function writeTeacherWeights(path: string, model: BitConfig, seed = 1): Promise<void> {
  const weights = initBit(model, (name, count) => {
    const stream = draws(seed, "init", name);
    return Float32Array.from({ length: count }, () => stream.normal());
  });
  const head = draws(seed, "head");
  for (const [name, { values }] of Object.entries(weights))
    if (name.startsWith("head/")) for (let i = 0; i < values.length; i++) values[i] = head.normal() * 0.1;
  await writeWeights(path, weights);
}

/** The real teacher service, in a process of its own, with a small random network called "prof". */
export async function startSmallTeacher(o: {
  folder: string;
  resolution: number;
  classes: number;
  model?: Partial<BitConfig>;
  seed?: number;
  /** 0, the default: any free one. */
  port?: number;
  /** What a gateway in front of it signs with. */
  secret?: string;
}): Promise<TeacherProcess> {
  const weights = join(o.folder, "teacher.npz");
  await writeTeacherWeights(weights, { blocks: [1, 1], width: 0.5, classes: o.classes, ...o.model }, o.seed);
  const config = join(o.folder, "teacher.yaml");
  writeFileSync(
    config,
    stringify({
      listen: { host: "127.0.0.1", port: o.port ?? 0 },
      tokens: [TOKEN],
      ...(o.secret ? { identity: { secret: o.secret } } : {}),
      models: { prof: { format: "npz", path: weights, resolution: o.resolution, valueRange: [-1, 1] } },
    }),
  );
  return startTeacherService(config);
}

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  output: string;
}

/** A `funmatch` process; `preload` are modules that it imports first. */
export function startFunmatch(
  args: string[],
  o: { env?: Record<string, string>; preload?: string[] } = {},
): { child: ChildProcess; finished: Promise<Finished> } {
  const cli = fileURLToPath(new URL("../../student-trainer/cli.ts", import.meta.url));
  const preload = (o.preload ?? []).flatMap((path) => ["--import", path]);
  const child = spawn(process.execPath, [...preload, cli, ...args], {
    env: { ...process.env, ...o.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout?.on("data", (text) => {
    output += text;
  });
  child.stderr?.on("data", (text) => {
    output += text;
  });
  const finished = once(child, "close").then(([code, signal]) => ({ code, signal, output }));
  return { child, finished };
}

/** What small runs of the bundled pictures with the small teacher have in common. */
export const SMALL_RUN = {
  run: "run",
  data: { train: { fashion: "train" }, validation: { fashion: "validation" } },
  design: "funmatch",
  student: { model: "bit", blocks: [1], width: 0.5, resolution: 32 },
  batch: 16,
  chunk: 8,
  optimizer: { learningRate: 1e-3, weightDecay: 1e-4 },
  log: { everySteps: 1 },
};

/** A config file of a run, written into its own folder; answers its path. */
export function writeRunConfig(folder: string, config: object): string {
  const path = join(folder, "run.yaml");
  writeFileSync(path, stringify(config));
  return path;
}
