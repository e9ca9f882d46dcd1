import { randomUUID } from "node:crypto";
import type { EvalBatch, Views } from "../data/batch.ts";
import { chunksOf } from "../data/layers.ts";
import type { ViewPool } from "../data/pool.ts";
import type { Source } from "../data/source.ts";
import { ahead } from "../teach/ahead.ts";
import { askPieces, type BatchAnswer, largestChunk } from "../teach/chunks.ts";
import type { Teacher } from "../teach/client.ts";
import { ensembleLogits } from "../teach/ensemble.ts";
import { answersOf, type Rows, withoutCorrupt } from "./decoded-rows.ts";
import { type FeatureSample, sampleFeatures } from "./feature-sample.ts";
import {
  type Answers,
  ensembleFigures,
  type LabelFigures,
  labelFigures,
  type TeacherFigures,
  teacherFigures,
} from "./figures.ts";

/** A teacher, or the ensemble of all, and how far the student is from it. */
export interface TeacherEvaluation extends LabelFigures, TeacherFigures {
  /** [N,K], in data order. */
  logits: Float32Array;
  /** Linear CKA of the student's features with these logits, over at most 2,048 images; where it was asked for. */
  cka?: number;
}

/** A student, and its teachers if it has any, on one split. Corrupt images are left out everywhere. */
export interface Evaluation extends LabelFigures {
  /** [N,K], in data order. */
  student: Float32Array;
  /** Numbers of the images in their split, [N]. */
  images: Int32Array;
  /** Each image's own label, [N]. */
  labels: Int32Array;
  /** What accuracy is measured by: the own labels, or the several that a file gives. */
  answers: Answers;
  /** In the config's order. */
  teachers: TeacherEvaluation[];
  /** The only teacher, or the ensemble of several: the logarithms of the mean of their probabilities. */
  teacher?: TeacherEvaluation;
  /** Requests that the gateway's cache answered, and did not; both 0 where there is no gateway. */
  cacheHits: number;
  cacheMisses: number;
}

/** What a student says of images. */
export interface Answered {
  /** [N,K] */
  logits: Float32Array;
  /** What the head reads, [N,C]. */
  features: Float32Array;
}

export interface EvaluateOptions {
  pool: Pick<ViewPool, "evaluation" | "release">;
  split: string;
  /** The split's images, with corrupt ones, which no figure counts. */
  source: Pick<Source, "size" | "answers">;
  /** Images that `forward` takes at a time. */
  batch: number;
  classes: number;
  /** Of exactly `batch` images, [batch,H,W,C] uint8. */
  forward: (images: Uint8Array) => Promise<Answered>;
  teachers: Teacher[];
  /** Whether to align the student's features with each teacher. */
  cka?: boolean;
  signal?: AbortSignal;
}

/** The gateway caches answers to bodies of up to 8 MiB: ask in pieces that it can keep. */
const CACHED_BYTES = 4 * 2 ** 20;
const IN_FLIGHT = 3;

/**
 * Student and teachers on the evaluation views of a split. Teachers are asked each time anew, with purpose
 * "eval", so that a cache may answer; their first batches are asked while the student's are computed.
 *
 * @throws TeacherError when an answer fails a check
 */
export async function evaluate(o: EvaluateOptions): Promise<Evaluation> {
  const { batch, classes, teachers } = o;
  const { size } = o.source;
  const all: Rows = {
    student: new Float32Array(size * classes),
    teachers: teachers.map(() => new Float32Array(size * classes)),
    labels: new Int32Array(size),
  };
  const sample = o.cka ? sampleFeatures(size) : undefined;
  const caches: BatchAnswer["caches"] = [];
  const session = randomUUID();

  const start = async (i: number, signal: AbortSignal) => {
    const first = i * batch;
    const made = await o.pool.evaluation(o.split, first, Math.min(batch, size - first));
    signal.throwIfAborted();
    const asked = await Promise.all(
      teachers.map((teacher, nth) => askTeacher(teacher, made.teacherViews[nth]!, `${session}-${i}`, signal)),
    );
    return { first, made, asked };
  };
  const steps = { from: 0, to: Math.ceil(size / batch), inFlight: IN_FLIGHT };
  for await (const { first, made, asked } of ahead({ ...steps, start, signal: o.signal })) {
    const { logits, features } = await o.forward(filledUp(made, batch));
    all.student.set(logits.subarray(0, made.labels.length * classes), first * classes);
    sample?.add(first, made.labels, features, features.length / batch);
    all.labels.set(made.labels, first);
    o.pool.release(made);
    for (const [nth, { logits, caches: said }] of asked.entries()) {
      all.teachers[nth]!.set(logits, first * classes);
      caches.push(...said);
    }
  }

  const count = (said: BatchAnswer["caches"][number]) => caches.filter((cache) => cache === said).length;
  const rows = withoutCorrupt(all, classes);
  const answers = answersOf(o.source, rows.images, rows.labels);
  return {
    ...figuresOf({ ...rows, answers, classes, sample }),
    cacheHits: count("hit"),
    cacheMisses: count("miss") + count("bypass"),
  };
}

/** The evaluation of a split as that of another, which has the same images and other right labels. */
export function relabelled(
  evaluation: Evaluation,
  source: Pick<Source, "answers">,
  classes: number,
): Evaluation {
  const answers = answersOf(source, evaluation.images, evaluation.labels);
  const again = (one: TeacherEvaluation) => ({ ...one, ...labelFigures(one.logits, answers, classes) });
  return {
    ...evaluation,
    ...labelFigures(evaluation.student, answers, classes),
    answers,
    teachers: evaluation.teachers.map(again),
    teacher: evaluation.teacher && again(evaluation.teacher),
    ...{ cacheHits: 0, cacheMisses: 0 },
  };
}

function figuresOf(
  o: Rows & { images: Int32Array; answers: Answers; classes: number; sample?: FeatureSample },
): Omit<Evaluation, "cacheHits" | "cacheMisses"> {
  const { student, images, labels, answers, classes, sample } = o;
  const beside = (logits: Float32Array, figures: TeacherFigures): TeacherEvaluation => ({
    logits,
    ...labelFigures(logits, answers, classes),
    ...figures,
    cka: sample?.cka(logits, classes),
  });
  const teachers = o.teachers.map((logits) => beside(logits, teacherFigures(student, logits, classes)));
  const together = () => {
    const logits = ensembleLogits(o.teachers, classes);
    return beside(logits, ensembleFigures(student, logits, classes));
  };
  return {
    ...labelFigures(student, answers, classes),
    ...{ student, images, labels, answers, teachers },
    teacher: teachers.length > 1 ? together() : teachers[0],
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
  return askPieces(teacher.ask, views, chunksOf(views, most), { purpose: "eval", requestId, signal });
}

/** The images of a batch, the last one repeated up to `batch` images; the rows of those are not read. */
export function filledUp({ views }: Pick<EvalBatch, "views">, batch: number): Uint8Array {
  const images = views.shape[0];
  if (images === batch) return views.data;
  const imageBytes = views.data.length / images;
  const filled = new Uint8Array(batch * imageBytes);
  filled.set(views.data);
  for (let i = images; i < batch; i++)
    filled.copyWithin(i * imageBytes, (images - 1) * imageBytes, images * imageBytes);
  return filled;
}
