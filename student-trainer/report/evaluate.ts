import { randomUUID } from "node:crypto";
import type { EvalBatch } from "../data/batch.ts";
import type { ViewPool } from "../data/pool.ts";
import { ahead } from "../teach/ahead.ts";
import { askPieces, type BatchAnswer, cut, largestChunk } from "../teach/chunks.ts";
import type { Teacher } from "../teach/client.ts";
import { choices, meanKl, shareEqual } from "./figures.ts";

/** A student, and its teacher if it has one, on one split. */
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
  /** [N,K], in data order. */
  teacher?: Float32Array;
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
  teacher?: Teacher;
  signal?: AbortSignal;
}

/** The gateway caches answers to bodies of up to 8 MiB: ask in pieces that it can keep. */
const CACHED_BYTES = 4 * 2 ** 20;
const IN_FLIGHT = 3;

/**
 * Student and teacher on the evaluation views of a split. The teacher is asked each time anew, with purpose
 * "eval", so that a cache may answer; its first batches are asked while the student's are computed.
 *
 * @throws TeacherError when an answer fails a check
 */
export async function evaluate(o: EvaluateOptions): Promise<Evaluation> {
  const { size, batch, classes } = o;
  const all = {
    student: new Float32Array(size * classes),
    teacher: o.teacher && new Float32Array(size * classes),
    labels: new Int32Array(size),
  };
  const caches: BatchAnswer["caches"] = [];
  const session = randomUUID();

  const start = async (i: number, signal: AbortSignal) => {
    const first = i * batch;
    const made = await o.pool.evaluation(o.split, first, Math.min(batch, size - first));
    signal.throwIfAborted();
    const asked = o.teacher && (await askTeacher(o.teacher, made, `${session}-${i}`, signal));
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
    if (!asked) continue;
    all.teacher?.set(asked.logits, first * classes);
    caches.push(...asked.caches);
  }

  const { student, teacher, labels } = withoutCorrupt(all, classes);
  const chosen = choices(student, classes);
  const accuracy = shareEqual(chosen, labels);
  const count = (said: BatchAnswer["caches"][number]) => caches.filter((cache) => cache === said).length;
  const cacheMisses = count("miss") + count("bypass");
  const known = { accuracy, cacheHits: count("hit"), cacheMisses, student, labels };
  if (!teacher) return known;
  const told = choices(teacher, classes);
  return {
    ...known,
    teacher,
    teacherAccuracy: shareEqual(told, labels),
    agreement: shareEqual(chosen, told),
    kl: meanKl(student, teacher, classes),
  };
}

type Rows = Pick<Evaluation, "student" | "teacher" | "labels">;

/** The rows of the images that could be decoded. */
function withoutCorrupt(all: Rows, classes: number): Rows {
  if (!all.labels.includes(-1)) return all;
  const counts = (row: number) => all.labels[row] !== -1;
  const rowsOf = (logits: Float32Array) => logits.filter((_, i) => counts(Math.floor(i / classes)));
  return {
    student: rowsOf(all.student),
    teacher: all.teacher && rowsOf(all.teacher),
    labels: all.labels.filter((_, row) => counts(row)),
  };
}

function askTeacher(
  teacher: Teacher,
  { views: student, teacherViews: views = student }: EvalBatch,
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
