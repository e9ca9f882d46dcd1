import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheDirectory, cpuFlags, installedEngine } from "@funmatch/engine";
import { z } from "zod";
import type { Facts } from "./formats/network.ts";

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

/** Keeps a record, where the cache can be written to: in a read-only container there is none to write. */
export async function writeRecord(path: string, record: ProbeRecord): Promise<void> {
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
