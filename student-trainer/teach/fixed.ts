import { createHash, randomUUID } from "node:crypto";
import { type FileHandle, open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { readNpz, writeNpz } from "@funmatch/models";
import type { TrainBatch } from "../data/batch.ts";
import { type FixedBatch, type FixedView, nameOfView } from "../data/fixed-views.ts";
import { ahead } from "./ahead.ts";
import { askPieces } from "./chunks.ts";
import type { Teacher } from "./client.ts";
import { sumProbabilities } from "./ensemble.ts";
import type { Taught } from "./window.ts";

const LARGEST_READ = 2 ** 26;

export interface FixedOptions {
  teacher: Teacher;
  /** Digest and size of the training set. */
  data: { digest: string; size: number };
  /** Fixed views start .. start+count-1, those of one image after those of the one before it. */
  viewsOf: (start: number, count: number) => Promise<FixedBatch>;
  /** Gives the views' memory back once they are answered. */
  release: (batch: FixedBatch) => void;
  /** Another view is another file. */
  view: FixedView;
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
 * What the teacher says of one fixed view of every training image, [size,K] in data order: designs fix/*. Of an
 * ensemble of views it is the mean of their probabilities, as log-probabilities, which are logits of it.
 *
 * Asked once, past every cache, and kept in `fixed-<key>.npz`, the key being data, teacher version and view.
 * An interrupted fetch goes on where it stopped.
 *
 * @throws TeacherError when an answer fails a check; the signal's reason
 */
export async function fixedLogits(o: FixedOptions): Promise<Float32Array> {
  const { classes, version } = o.teacher.card;
  const key = createHash("sha256")
    .update(JSON.stringify([o.data.digest, version, nameOfView(o.view)]))
    .digest("hex");
  const path = join(o.directory, `fixed-${key.slice(0, 16)}.npz`);
  const kept = await readKept(path, o.data.size, classes);
  if (kept) return kept;

  const partial = `${path}.partial`;
  const logits = new Float32Array(o.data.size * classes);
  const file = await open(partial, "a+");
  try {
    let toldAt = performance.now();
    const from = await resumeFrom(file, logits, imagesAtOnce(o) * classes);
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

/** Images whose answers are kept together: as many as fill a request, or one that takes several. */
function imagesAtOnce({ chunk, view }: FixedOptions): number {
  return Math.max(1, Math.floor(chunk / view.ensemble));
}

async function fetchRest(
  o: FixedOptions,
  from: number,
  keep: (start: number, rows: Float32Array) => Promise<void>,
): Promise<void> {
  const { teacher, data, chunk, inFlight, view } = o;
  const { classes } = teacher.card;
  const session = randomUUID();
  const most = imagesAtOnce(o);
  const start = async (i: number, signal: AbortSignal) => {
    const first = i * most;
    const images = Math.min(most, data.size - first);
    const [begin, end] = [first * view.ensemble, (first + images) * view.ensemble];
    const sum = view.ensemble > 1 ? sumProbabilities(images, classes, view.ensemble) : undefined;
    let logits: Float32Array = new Float32Array(0);
    for (let at = begin; at < end; at += chunk) {
      const batch = await o.viewsOf(at, Math.min(chunk, end - at));
      const { views } = batch;
      const requestId = `${session}-fixed-${i}${at > begin ? `.${(at - begin) / chunk}` : ""}`;
      const call = { purpose: "eval" as const, requestId, noStore: true, signal };
      const whole = { start: 0, count: views.shape[0], digest: views.digest };
      ({ logits } = await askPieces(teacher.ask, views, [whole], call));
      o.release(batch);
      sum?.add(logits);
    }
    return { first, logits: sum?.logMean() ?? logits };
  };
  const to = Math.ceil(data.size / most);
  for await (const { first, logits } of ahead({ from, to, inFlight, start, signal: o.signal }))
    await keep(first, logits);
}
