import { createHash, randomUUID } from "node:crypto";
import { type FileHandle, open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { readNpz, writeNpz } from "@funmatch/models";
import type { EvalBatch, TrainBatch } from "../data/batch.ts";
import { ahead } from "./ahead.ts";
import { askPieces } from "./chunks.ts";
import type { Teacher } from "./client.ts";
import type { Taught } from "./window.ts";

const LARGEST_READ = 2 ** 26;

export interface FixedOptions {
  teacher: Teacher;
  /** Digest and size of the training set. */
  data: { digest: string; size: number };
  /** The central views of training images start .. start+count-1. */
  viewsOf: (start: number, count: number) => Promise<EvalBatch>;
  /** Gives the views' memory back once they are answered. */
  release: (batch: EvalBatch) => void;
  /** Names the view with its resolution, e.g. "central-64": another view is another file. */
  view: string;
  /** Images in one request. */
  chunk: number;
  inFlight: number;
  /** Folder of the kept answers. */
  directory: string;
  /** Told every few seconds. */
  onProgress?: (done: number, of: number) => void;
  signal?: AbortSignal;
}

/**
 * What the teacher says of one fixed view of every training image, [size,K] in data order: designs fix/*.
 *
 * Asked once, past every cache, and kept in `fixed-<key>.npz`, the key being data, teacher version and view.
 * An interrupted fetch goes on where it stopped.
 *
 * @throws TeacherError when an answer fails a check; the signal's reason
 */
export async function fixedLogits(o: FixedOptions): Promise<Float32Array> {
  const { classes, version } = o.teacher.card;
  const key = createHash("sha256")
    .update(JSON.stringify([o.data.digest, version, o.view]))
    .digest("hex");
  const path = join(o.directory, `fixed-${key.slice(0, 16)}.npz`);
  const kept = await readKept(path, o.data.size, classes);
  if (kept) return kept;

  const partial = `${path}.partial`;
  const logits = new Float32Array(o.data.size * classes);
  const file = await open(partial, "a+");
  try {
    let toldAt = performance.now();
    const from = await resumeFrom(file, logits, o.chunk * classes);
    await fetchRest(o, from, async (start, rows) => {
      logits.set(rows, start * classes);
      await file.appendFile(new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength));
      await file.datasync();
      if (performance.now() - toldAt < 2000) return;
      toldAt = performance.now();
      o.onProgress?.(start + rows.length / classes, o.data.size);
    });
  } finally {
    await file.close();
  }
  await writeNpz(path, { logits: { dtype: "float32", shape: [o.data.size, classes], data: logits } });
  await rm(partial);
  return logits;
}

/** Teaches a batch with the rows of its images. */
export function teachFixed(logits: Float32Array, classes: number, version: string) {
  return async ({ indices }: TrainBatch): Promise<Taught> => {
    const rows = new Float32Array(indices.length * classes);
    indices.forEach((image, i) => {
      rows.set(logits.subarray(image * classes, (image + 1) * classes), i * classes);
    });
    return { logits: rows, version, verified: false };
  };
}

async function readKept(path: string, size: number, classes: number): Promise<Float32Array | undefined> {
  const exists = await stat(path).then(
    () => true,
    () => false,
  );
  if (!exists) return undefined;
  const array = (await readNpz(path)).get("logits");
  const fits = array?.dtype === "float32" && array.shape[0] === size && array.shape[1] === classes;
  return fits ? (array.data as Float32Array) : undefined;
}

/**
 * Reads whole chunks back, but for the last one: a crash of the machine may have torn it.
 * Answers how many chunks there are, with the file cut behind them.
 */
async function resumeFrom(file: FileHandle, logits: Float32Array, chunkValues: number): Promise<number> {
  const chunkBytes = chunkValues * 4;
  const chunks = Math.max(0, Math.floor((await file.stat()).size / chunkBytes) - 1);
  await file.truncate(chunks * chunkBytes);
  const bytes = new Uint8Array(logits.buffer, 0, chunks * chunkBytes);
  for (let at = 0; at < bytes.length; ) {
    // In parts: one read gives at most 2 GiB, and the answers for ImageNet are 5.
    const { bytesRead } = await file.read(bytes, at, Math.min(bytes.length - at, LARGEST_READ), at);
    at += bytesRead;
  }
  return chunks;
}

async function fetchRest(
  o: FixedOptions,
  from: number,
  keep: (start: number, rows: Float32Array) => Promise<void>,
): Promise<void> {
  const { teacher, data, chunk, inFlight } = o;
  const session = randomUUID();
  const start = async (i: number, signal: AbortSignal) => {
    const first = i * chunk;
    const batch = await o.viewsOf(first, Math.min(chunk, data.size - first));
    const { views } = batch;
    const call = { purpose: "eval" as const, requestId: `${session}-fixed-${i}`, noStore: true, signal };
    const whole = { start: 0, count: views.shape[0], digest: views.digest };
    const { logits } = await askPieces(teacher.ask, views, [whole], call);
    o.release(batch);
    return { first, logits };
  };
  const to = Math.ceil(data.size / chunk);
  for await (const { first, logits } of ahead({ from, to, inFlight, start, signal: o.signal }))
    await keep(first, logits);
}
