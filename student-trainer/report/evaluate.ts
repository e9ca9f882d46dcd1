import { randomUUID } from "node:crypto";
import type { EvalBatch, Views } from "../data/batch.ts";
import type { ViewPool } from "../data/pool.ts";
import { ahead } from "../teach/ahead.ts";
import { askPieces, type BatchAnswer, cut, largestChunk } from "../teach/chunks.ts";
import type { Teacher } from "../teach/client.ts";
import { ensembleLogits } from "../teach/ensemble.ts";
import { choices, meanKl, shareEqual } from "./figures.ts";

/** One of several teachers on one split, and the student beside it. */
export interface BesideTeacher {
  /** [N,K], in data order. */
  logits: Float32Array;
  accuracy: number;
  agreement: number;
  kl: number;
}

/** A student, and its teacher if it has one, on one split; several teachers count as their ensemble. */
export interface Evaluation {
  /** Share of images whose first choice is the label. */
  accuracy: number;
  teacherAccuracy?: number;
  /** Share of images where student and teacher make the same first choice. */
  agreement?: number;
  /** Mean KL divergence from the teacher at temperature 1, in nats. */
  kl?: number;
  /** Requests that the gateway's cache answered, and did not; both 0 where there is no gateway. */
  cacheHits: number;
  cacheMisses: number;
  /** [N,K], in data order, without corrupt images. */
  student: Float32Array;
  /** [N,K], in data order; of several teachers the logarithms of their mean probabilities. */
  teacher?: Float32Array;
  /** Each of several, in the order of the config; absent where there are not several. */
  teachers?: BesideTeacher[];
  /** [N] */
  labels: Int32Array;
}

export interface EvaluateOptions {
  pool: Pick<ViewPool, "evaluation" | "release">;
  split: string;
  /** Images of the split, with corrupt ones, which no figure counts. */
  size: number;
  /** Images that `forward` takes at a time. */
  batch: number;
  classes: number;
  /** Logits [batch,K] of exactly `batch` images, [batch,H,W,C] uint8. */
  forward: (images: Uint8Array) => Promise<Float32Array>;
  teachers?: Teacher[];
  signal?: AbortSignal;
}

/** The gateway caches answers to bodies of up to 8 MiB: ask in pieces that it can keep. */
const CACHED_BYTES = 4 * 2 ** 20;
const IN_FLIGHT = 3;

/**
 * Student and teachers on the evaluation views of a split. The teachers are asked each time anew, with purpose
 * "eval", so that a cache may answer; the first batches are asked while the student's are computed.
 *
 * @throws TeacherError when an answer fails a check
 */
export async function evaluate(o: EvaluateOptions): Promise<Evaluation> {
  const { size, batch, classes, teachers = [] } = o;
  const all = {
    student: new Float32Array(size * classes),
    teachers: teachers.map(() => new Float32Array(size * classes)),
    labels: new Int32Array(size),
  };
  const caches: BatchAnswer["caches"] = [];
  const session = randomUUID();

  const start = async (i: number, signal: AbortSignal) => {
    const first = i * batch;
    const made = await o.pool.evaluation(o.split, first, Math.min(batch, size - first));
    signal.throwIfAborted();
    const asked = await Promise.all(
      teachers.map((teacher, t) => askTeacher(teacher, made.teacherViews[t]!, `${session}-${i}`, signal)),
    );
    return { first, made, asked };
  };
  const to = Math.ceil(size / batch);
  for await (const { first, made, asked } of ahead({
    from: 0,
    to,
    inFlight: IN_FLIGHT,
    start,
    signal: o.signal,
  })) {
    const logits = await o.forward(filledUp(made, batch));
    all.student.set(logits.subarray(0, made.labels.length * classes), first * classes);
    all.labels.set(made.labels, first);
    o.pool.release(made);
    for (const [t, answer] of asked.entries()) {
      all.teachers[t]!.set(answer.logits, first * classes);
      caches.push(...answer.caches);
    }
  }

  const { student, teachers: told, labels } = withoutCorrupt(all, classes);
  const chosen = choices(student, classes);
  const accuracy = shareEqual(chosen, labels);
  const count = (said: BatchAnswer["caches"][number]) => caches.filter((cache) => cache === said).length;
  const cacheMisses = count("miss") + count("bypass");
  const known = { accuracy, cacheHits: count("hit"), cacheMisses, student, labels };
  if (told.length === 0) return known;
  const beside = (logits: Float32Array): BesideTeacher => {
    const first = choices(logits, classes);
    return {
      logits,
      accuracy: shareEqual(first, labels),
      agreement: shareEqual(chosen, first),
      kl: meanKl(student, logits, classes),
    };
  };
  const { logits: teacher, accuracy: teacherAccuracy, ...figures } = beside(ensembleLogits(told, classes));
  const each = told.length > 1 ? { teachers: told.map(beside) } : {};
  return { ...known, teacher, teacherAccuracy, ...figures, ...each };
}

interface Rows {
  student: Float32Array;
  teachers: Float32Array[];
  labels: Int32Array;
}

/** The rows of the images that could be decoded. */
function withoutCorrupt(all: Rows, classes: number): Rows {
  if (!all.labels.includes(-1)) return all;
  const counts = (row: number) => all.labels[row] !== -1;
  const rowsOf = (logits: Float32Array) => logits.filter((_, i) => counts(Math.floor(i / classes)));
  return {
    student: rowsOf(all.student),
    teachers: all.teachers.map(rowsOf),
    labels: all.labels.filter((_, row) => counts(row)),
  };
}

function askTeacher(
  teacher: Teacher,
  views: Views,
  requestId: string,
  signal: AbortSignal,
): Promise<BatchAnswer> {
  const imageBytes = views.data.length / views.shape[0];
  const most = Math.min(
    largestChunk(teacher.limits, imageBytes),
    Math.max(1, Math.floor(CACHED_BYTES / imageBytes)),
  );
  return askPieces(teacher.ask, views, cut(views, most), { purpose: "eval", requestId, signal });
}

/** The images of a batch, the last one repeated up to `batch` images; the rows of those are not read. */
function filledUp({ views }: EvalBatch, batch: number): Uint8Array {
  const images = views.shape[0];
  if (images === batch) return views.data;
  const imageBytes = views.data.length / images;
  const filled = new Uint8Array(batch * imageBytes);
  filled.set(views.data);
  for (let i = images; i < batch; i++)
    filled.copyWithin(i * imageBytes, (images - 1) * imageBytes, images * imageBytes);
  return filled;
}
