import { draws, permutation } from "@funmatch/views";
import type { EvalBatch } from "../data/batch.ts";
import type { ViewPool } from "../data/pool.ts";
import type { ProbeConfig } from "../evaluation-config.ts";
import type { Features } from "./cka.ts";
import type { Answered } from "./evaluate.ts";
import { filledUp } from "./evaluate.ts";
import { fitProbe } from "./least-squares.ts";

/** What the student's features are worth to who has only a few labelled images. */
export interface ProbeResult {
  on: string;
  from: string;
  shots: ShotsResult[];
}

export interface ShotsResult {
  /** Images of each class. */
  shots: number;
  /** Mean of the accuracies. */
  accuracy: number;
  /** One for each draw of the shots. */
  accuracies: number[];
}

export interface ProbeOptions extends ProbeConfig {
  pool: Pick<ViewPool, "evaluation" | "release" | "sources">;
  /** Of exactly `batch` images, [batch,H,W,C] uint8. */
  forward: (images: Uint8Array) => Promise<Answered>;
  batch: number;
  /** The run's; the shots are drawn from it. */
  seed: number;
  signal?: AbortSignal;
}

/**
 * Fits linear probes on the student's features of a few images a class of one split, and tests them on another. More
 * shots hold the fewer ones of the same draw. Corrupt images are passed over.
 */
export async function probe(o: ProbeOptions): Promise<ProbeResult> {
  const { from, on, pool, seed } = o;
  const source = pool.sources[from]!;
  const classes = source.labels.length;
  const most = Math.max(...o.shots);
  const perDraw = Array.from({ length: o.draws }, (_, nth) => drawn(pool, from, seed, nth, most));
  const wanted = [...new Set(perDraw.flat(2))].sort((a, b) => a - b);
  const shotsSeen = await featuresOf(o, from, wanted);
  const place = new Map(wanted.map((image, i) => [image, i]));
  const tested = await featuresOf(
    o,
    on,
    Array.from({ length: pool.sources[on]!.size }, (_, i) => i),
  );
  const test = rowsOf(tested, [...tested.labels.keys()]);

  const shots = o.shots.map((count): ShotsResult => {
    const accuracies = perDraw.map((byClass) => {
      const images = byClass.flatMap((images) => images.slice(0, count));
      const { features, labels } = rowsOf(
        shotsSeen,
        images.map((image) => place.get(image)!),
      );
      const chosen = fitProbe(features, labels, classes, o.l2).choices(test.features);
      return chosen.filter((choice, i) => choice === test.labels[i]).length / chosen.length;
    });
    return { shots: count, accuracy: accuracies.reduce((a, b) => a + b) / accuracies.length, accuracies };
  });
  return { on, from, shots };
}

/** Numbers of `most` images of each class, or all that there are, in random order. */
function drawn(
  pool: Pick<ViewPool, "sources">,
  split: string,
  seed: number,
  nth: number,
  most: number,
): number[][] {
  const source = pool.sources[split]!;
  const byClass: number[][] = source.labels.map(() => []);
  const order = permutation(draws(seed, "probe", split, nth), source.size);
  for (const image of order) {
    const images = byClass[source.label(image)]!;
    if (images.length < most) images.push(image);
  }
  return byClass;
}

interface Seen {
  features: Features;
  /** -1 for a corrupt image. */
  labels: Int32Array;
}

/** The student's features of the central views of some images, in their order. */
async function featuresOf(o: ProbeOptions, split: string, images: number[]): Promise<Seen> {
  const labels = new Int32Array(images.length);
  let data = new Float32Array(0);
  let width = 0;
  for (let start = 0; start < images.length; start += o.batch) {
    o.signal?.throwIfAborted();
    const some = images.slice(start, start + o.batch);
    const made = await Promise.all(some.map((image) => o.pool.evaluation(split, image, 1)));
    const { features } = await o.forward(filledUp({ views: together(made) }, o.batch));
    width = features.length / o.batch;
    if (start === 0) data = new Float32Array(images.length * width);
    data.set(features.subarray(0, some.length * width), start * width);
    for (const [i, batch] of made.entries()) {
      labels[start + i] = batch.labels[0]!;
      o.pool.release(batch);
    }
  }
  return { features: { data, width }, labels };
}

function together(made: EvalBatch[]): EvalBatch["views"] {
  const [first] = made;
  const bytes = first!.views.data.length;
  const data = new Uint8Array(made.length * bytes);
  for (const [i, { views }] of made.entries()) data.set(views.data, i * bytes);
  const [, height, width, channels] = first!.views.shape;
  return { shape: [made.length, height, width, channels], data, digest: "" };
}

/** Some rows, less those of corrupt images. */
function rowsOf({ features: { data, width }, labels }: Seen, rows: number[]): Seen {
  const decoded = rows.filter((row) => labels[row] !== -1);
  const chosen = new Float32Array(decoded.length * width);
  for (const [i, row] of decoded.entries())
    chosen.set(data.subarray(row * width, (row + 1) * width), i * width);
  return { features: { data: chosen, width }, labels: Int32Array.from(decoded, (row) => labels[row]!) };
}
