import { createHash } from "node:crypto";
import {
  type CropRange,
  draws,
  mixup,
  mixupLambda,
  type ViewKind,
  writeCentralView,
  writeView,
} from "@funmatch/views";
import { examplesOf } from "./order.ts";
import type { Source } from "./source.ts";

const CHANNELS = 3;
/** Images of a batch that are read at the same time: enough to hide the disk, few enough to bound memory. */
const READS_AT_ONCE = 4;

/** Everything, besides the images themselves, that decides the bytes of a training batch. */
export interface Recipe {
  seed: number;
  /** Images a step. */
  batch: number;
  /** Side of the square views, in pixels. */
  resolution: number;
  /** Images a request to the teacher, at most. */
  chunk: number;
  view: ViewKind;
  /** Bounds of the inception crop; absent, the paper's. */
  crop?: CropRange;
  /** Shorter side of the pictures that central views are cut from; absent, the paper's 160 for 128. */
  centralSide?: number;
  /** p of Beta(p, p); 0 mixes nothing. */
  mixup: number;
}

/** Images as the teacher and the student see them: uint8 [N, H, W, 3], in shared memory, and "sha256:<hex>" of it. */
export interface Views {
  shape: [number, number, number, number];
  data: Uint8Array;
  digest: string;
}

/** Part of a batch that goes to the teacher in one request: `count` images from `start` on, and their digest. */
export interface Chunk {
  start: number;
  count: number;
  digest: string;
}

export interface TrainBatch {
  /** From 1. */
  step: number;
  /** The epoch of the first image, from 0. */
  epoch: number;
  indices: Int32Array;
  /** Each image's own label; that of its mixing partner is the label of the image before it (of the last for the first). */
  labels: Int32Array;
  /** The share of the own image, 0.5 … 1; 1 without mixing. */
  lambda: number;
  views: Views;
  chunks: Chunk[];
  /** First 16 hex digits of the SHA-256 of each image's pixels, for the images of the first epoch, which come first. */
  pictures?: string[];
}

export interface EvalBatch {
  indices: Int32Array;
  labels: Int32Array;
  views: Views;
}

/** How many bytes `count` views of a resolution take. */
export function bytesOf(count: number, resolution: number): number {
  return count * resolution * resolution * CHANNELS;
}

/**
 * Makes the batch of a step into `memory`, which must have {@link bytesOf} its bytes. The bytes depend on the recipe,
 * the step and the images alone. A large batch is mixed whole, then cut into chunks.
 *
 * @throws UserError naming the image that could not be read.
 */
export async function makeTrainBatch(
  source: Source,
  recipe: Recipe,
  step: number,
  memory: SharedArrayBuffer,
): Promise<TrainBatch> {
  const { seed, batch, resolution } = recipe;
  const examples = examplesOf(seed, step, batch, source.size);
  const lambda = mixupLambda(draws(seed, "mixup", step), recipe.mixup);
  const data = new Uint8Array(memory, 0, bytesOf(batch, resolution));
  const pictures: string[] = [];
  const plain = lambda === 1 ? data : new Uint8Array(data.length);
  await eachAtOnce(batch, async (place) => {
    const { epoch, index } = examples[place]!;
    const image = await source.read(index);
    if (epoch === 0) pictures[place] = digestOf(image.data).slice("sha256:".length, "sha256:".length + 16);
    writeView(
      recipe.view,
      image,
      draws(seed, "view", epoch, index),
      resolution,
      plain,
      bytesOf(place, resolution),
      recipe.crop,
    );
  });
  if (lambda !== 1) mixup(plain, batch, lambda, data);
  return {
    step,
    epoch: examples[0]!.epoch,
    indices: Int32Array.from(examples, ({ index }) => index),
    labels: Int32Array.from(examples, ({ index }) => source.label(index)),
    lambda,
    views: viewsOf(data, batch, resolution),
    chunks: chunksOf(data, batch, recipe.chunk, resolution),
    pictures: pictures.length > 0 ? pictures : undefined,
  };
}

/**
 * Makes the central views of `count` images from `start` on into `memory`.
 *
 * @throws UserError naming the image that could not be read.
 */
export async function makeEvalBatch(
  source: Source,
  { resolution, centralSide }: Pick<Recipe, "resolution" | "centralSide">,
  start: number,
  count: number,
  memory: SharedArrayBuffer,
): Promise<EvalBatch> {
  if (start < 0 || count < 1 || start + count > source.size) {
    throw new RangeError(`${source.name} has ${source.size} images, not ${start} … ${start + count - 1}`);
  }
  const data = new Uint8Array(memory, 0, bytesOf(count, resolution));
  await eachAtOnce(count, async (place) => {
    const image = await source.read(start + place);
    writeCentralView(image, resolution, data, bytesOf(place, resolution), centralSide);
  });
  const indices = Int32Array.from({ length: count }, (_, place) => start + place);
  return {
    indices,
    labels: indices.map((index) => source.label(index)),
    views: viewsOf(data, count, resolution),
  };
}

/** Does `work` for 0 … count-1, a few at once. After a failure begins no more, and throws once all have ended. */
async function eachAtOnce(count: number, work: (place: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) {
      try {
        await work(next++);
      } catch (error) {
        next = count;
        throw error;
      }
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: READS_AT_ONCE }, lane));
  const failed = ended.find((lane) => lane.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

function viewsOf(data: Uint8Array, count: number, resolution: number): Views {
  return { shape: [count, resolution, resolution, CHANNELS], data, digest: digestOf(data) };
}

function chunksOf(data: Uint8Array, batch: number, chunk: number, resolution: number): Chunk[] {
  return Array.from({ length: Math.ceil(batch / chunk) }, (_, i) => {
    const start = i * chunk;
    const count = Math.min(chunk, batch - start);
    const bytes = data.subarray(bytesOf(start, resolution), bytesOf(start + count, resolution));
    return { start, count, digest: digestOf(bytes) };
  });
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
