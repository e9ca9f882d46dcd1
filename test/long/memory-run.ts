/**
 * A long run over 64 tiny images with a teacher behind HTTP, and the memory of its process meanwhile:
 * `node test/long/memory-run.ts 100000` (epochs; one step each) prints a line every 5 s and what it comes to.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startFunmatch, temporaryFolder, writeRunConfig } from "../e2e/services.ts";
import { KEY, type SmallTeacher, smallTeacher } from "../teach/small-teacher.ts";

const IMAGES = 64;

export interface Sample {
  seconds: number;
  step: number;
  /** Resident memory of the trainer, in MiB: all, and without pages of files, which the system takes and gives as it likes. */
  resident: number;
  own: number;
}

export interface MemoryRun {
  samples: Sample[];
  /** Bytes a step of ledger, metrics and event files. */
  bytesPerStep: { ledger: number; metrics: number; tensorboard: number };
  code: number | null;
  output: string;
}

/** Trains for so many epochs of one step and samples the memory of the process until it ends. */
export async function memoryRun(o: {
  epochs: number;
  /** Of the student's views, in pixels. */
  side: number;
  everyMs: number;
  tell?: (sample: Sample) => void;
}): Promise<MemoryRun> {
  const folder = temporaryFolder("memory");
  const teacher: SmallTeacher = await smallTeacher({
    classes: 10,
    limits: { maxImages: 64, maxBodyBytes: 1 << 20, timeoutMs: 60_000 },
    card: () => ({
      input: { resolution: o.side, valueRange: [-1, 1], channels: 3, dtypes: ["uint8"], resizes: false },
    }),
    behave: () => {
      teacher.calls.length = 0; // it would keep them all
      return undefined;
    },
  });
  const config = writeRunConfig(folder, {
    run: "run",
    data: { train: { fashion: "train", split: `[:${IMAGES}]` } },
    teachers: [{ url: teacher.url, key: KEY }],
    design: "funmatch",
    student: { model: "bit", blocks: [1], width: 0.5, resolution: o.side },
    batch: IMAGES,
    length: { epochs: o.epochs },
    optimizer: { learningRate: 1e-3 },
    evaluate: { everySteps: 1000, splits: ["train"] },
    checkpoint: { everySteps: 500, keep: 2, keepEvery: 25_000 },
    log: { everySteps: 10 },
    workers: 1,
  });
  const began = performance.now();
  const { child, finished } = startFunmatch(["train", config]);
  const samples: Sample[] = [];
  let running = true;
  const ended = finished.finally(() => {
    running = false;
  });
  const metrics = join(folder, "run", "metrics.jsonl");
  while (running) {
    await Promise.race([sleep(o.everyMs), ended]);
    const memory = memoryOf(child.pid!);
    if (!running || memory === undefined) break;
    const sample = { seconds: (performance.now() - began) / 1000, step: lastStep(metrics), ...memory };
    samples.push(sample);
    o.tell?.(sample);
  }
  const { code, output } = await ended;
  await teacher.close();
  const size = (name: string) => statSync(join(folder, "run", name)).size / o.epochs;
  const bytesPerStep =
    code === 0
      ? {
          ledger: size("ledger.jsonl"),
          metrics: size("metrics.jsonl"),
          tensorboard: eventBytes(folder) / o.epochs,
        }
      : { ledger: 0, metrics: 0, tensorboard: 0 };
  return { samples, bytesPerStep, code, output };
}

/** Most memory of its own before and after a moment, in MiB. */
export function peaks(samples: Sample[], seconds: number): { before: number; after: number } {
  const most = (some: Sample[]) => Math.max(...some.map(({ own }) => own));
  return {
    before: most(samples.filter((sample) => sample.seconds <= seconds)),
    after: most(samples.filter((sample) => sample.seconds > seconds)),
  };
}

function memoryOf(pid: number): { resident: number; own: number } | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const mib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
    const memory = { resident: mib("VmRSS"), own: mib("VmRSS") - mib("RssFile") };
    return Number.isFinite(memory.own) ? memory : undefined; // a process that has just ended has none
  } catch {
    return undefined;
  }
}

function lastStep(path: string): number {
  try {
    const line = readFileSync(path, "utf8").trimEnd().split("\n").at(-1)!;
    return (JSON.parse(line) as { step: number }).step;
  } catch {
    return 0;
  }
}

function eventBytes(folder: string): number {
  const directory = join(folder, "run", "tensorboard");
  return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const epochs = Number(process.argv[2] ?? 100_000);
  const tell = ({ seconds, step, resident, own }: Sample) =>
    console.log(
      `${seconds.toFixed(0).padStart(6)} s  step ${String(step).padStart(7)}  ${resident.toFixed(1)} MiB, ${own.toFixed(1)} its own`,
    );
  const { samples, bytesPerStep, code, output } = await memoryRun({ epochs, side: 8, everyMs: 5000, tell });
  const { before, after } = peaks(samples, 60);
  console.log(`most in the first minute ${before.toFixed(1)} MiB, later ${after.toFixed(1)} MiB`);
  console.log("bytes a step:", bytesPerStep);
  if (code !== 0) console.error(output.slice(-2000));
  process.exitCode = code ?? 1;
}
