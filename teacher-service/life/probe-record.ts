import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheDirectory, cpuFlags, installedEngine } from "@funmatch/engine";
import { z } from "zod";
import type { ModelConfig } from "../config/model-config.ts";
import type { Facts } from "../formats/network.ts";
import type { PhaseSeconds } from "./phases.ts";

/** What probing a model's batch sizes found, kept so that its next start need not find it again. */
const recordSchema = z.object({
  sizes: z.array(z.object({ images: z.int().positive(), seconds: z.number().positive() })).min(1),
  /** SHA-256 (hex) of the probe images' logits, the same bits at every one of these sizes. */
  logits: z.string(),
  /** Resident memory that the model took, passes of its largest size included. */
  bytes: z.number().nonnegative(),
});

export type ProbeRecord = z.output<typeof recordSchema>;

/**
 * Where the record of a model lies in the user's cache: named after all that decides its bits, that is the version
 * (weights and rules), engine, CPU, threads, and the sizes that were tried. None on a GPU, where each process chooses
 * its algorithms anew.
 */
export function recordPath(
  facts: Facts,
  o: { sizes: readonly number[]; threads: number },
): string | undefined {
  const { version, runtime } = facts;
  if (runtime.device === "gpu") return undefined;
  const place = installedEngine();
  const engine = [place?.key, place?.kernels?.key];
  const said = JSON.stringify([1, version, runtime, o.sizes, o.threads, engine, process.arch, cpuFlags()]);
  const key = createHash("sha256").update(said).digest("hex").slice(0, 32);
  return join(cacheDirectory(), "probes", `${key}.json`);
}

/** Undefined where there is none, or none that can be read. */
export async function readRecord(path: string): Promise<ProbeRecord | undefined> {
  try {
    return recordSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return undefined;
  }
}

const secondsSchema = z.object({
  engine: z.number(),
  weights: z.number(),
  graph: z.number(),
  probe: z.number(),
}) satisfies z.ZodType<PhaseSeconds>;

/** Where it is kept how long a load of a model takes: named after its config, since its version is not known yet. */
function secondsPath(config: ModelConfig, o: { batchSizes: readonly number[]; threads: number }): string {
  const key = createHash("sha256")
    .update(JSON.stringify([config, o.batchSizes, o.threads]))
    .digest("hex");
  return join(cacheDirectory(), "probes", `${key.slice(0, 32)}-seconds.json`);
}

/** What the last load of the same config took, in this process or one before. */
export async function readSeconds(
  ...load: Parameters<typeof secondsPath>
): Promise<PhaseSeconds | undefined> {
  try {
    return secondsSchema.parse(JSON.parse(await readFile(secondsPath(...load), "utf8")));
  } catch {
    return undefined;
  }
}

export function writeSeconds(seconds: PhaseSeconds, ...load: Parameters<typeof secondsPath>): Promise<void> {
  return write(secondsPath(...load), seconds);
}

export function writeRecord(path: string, record: ProbeRecord): Promise<void> {
  return write(path, record);
}

/** Keeps something, where the cache can be written to: in a read-only container nothing is kept. */
async function write(path: string, record: object): Promise<void> {
  const unfinished = `${path}.${randomUUID()}`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(unfinished, JSON.stringify(record));
    await rename(unfinished, path);
  } catch {
    await rm(unfinished, { force: true }).catch(() => {});
  }
}

export function digestOfLogits({ buffer, byteOffset, byteLength }: Float32Array): string {
  return createHash("sha256")
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest("hex");
}
