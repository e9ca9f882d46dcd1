import { createHash } from "node:crypto";
import {
  type CropRange,
  draws,
  mixup,
  mixupLambda,
  type ViewKind,
  writeCentralView,
  writeFramed,
} from "@funmatch/views";
import { type Replaced, readOrReplace } from "./corrupt.ts";
import { framingsOf } from "./framings.ts";
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
  /** Whether each image is mixed by a lambda of its own, not all of a batch by one. */
  lambdaEach?: boolean;
  /** The teacher's own bytes, where it is not asked for the student's. */
  teacher?: TeacherViews;
}

/** How the teacher's views differ from the student's. */
export interface TeacherViews {
  /** Side of the teacher's square views, in pixels. */
  resolution: number;
  /**
   * In training. same: the student's crop and flip, mixed alike; independent: drawn anew; none: it is not asked about
   * training batches.
   */
  training: "same" | "independent" | "none";
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
  /** The images that are in the batch: the replacement's number where an image was corrupt. */
  indices: Int32Array;
  /** Each image's own label; that of its mixing partner is the label of the image before it (of the last for the first). */
  labels: Int32Array;
  /** The share of the own image, 0.5 … 1; 1 without mixing; the mean of `lambdas`, if there are some. */
  lambda: number;
  /** Each image's own share, where they are mixed by lambdas of their own. */
  lambdas?: Float32Array;
  /** What the student trains on. */
  views: Views;
  /** What the teacher is asked for; absent where it is asked for `views`. */
  teacherViews?: Views;
  /** Of what the teacher is asked for. */
  chunks: Chunk[];
  /** Corrupt images that others stand in for; absent if there are none. */
  replaced?: Replaced[];
  /** First 16 hex digits of the SHA-256 of each image's pixels, for the images of the first epoch, which come first. */
  pictures?: string[];
}

export interface EvalBatch {
  indices: Int32Array;
  /** -1 for a corrupt image: its view is another image's, and no figure counts it. */
  labels: Int32Array;
  views: Views;
  /** Corrupt images that others stand in for; absent if there are none. */
  replaced?: Replaced[];
  /** The same pictures at the teacher's resolution, where that is another. */
  teacherViews?: Views;
}

/** How many bytes `count` views of a resolution take. */
export function bytesOf(count: number, resolution: number): number {
  return count * resolution * resolution * CHANNELS;
}

/** How many bytes a training batch takes: the student's views, then the teacher's own if it has some. */
export function bytesOfBatch({ batch, resolution, teacher }: Recipe): number {
  const own = teacher && teacher.training !== "none" ? bytesOf(batch, teacher.resolution) : 0;
  return bytesOf(batch, resolution) + own;
}

/** How many bytes `count` evaluation views take, the teacher's included if its resolution is another. */
export function bytesOfEvaluation(count: number, { resolution, teacher }: Recipe): number {
  const both = teacher && teacher.resolution !== resolution;
  return bytesOf(count, resolution) + (both ? bytesOf(count, teacher.resolution) : 0);
}

/**
 * Makes the batch of a step into `memory`, which must have {@link bytesOfBatch} bytes. The bytes depend on the recipe,
 * the step and the images alone. A large batch is mixed whole, then cut into chunks. Another image stands in for a
 * corrupt one, with its own label and the crop that was drawn for the corrupt one.
 *
 * @throws UserError naming the image that could not be read for another reason than its bytes.
 */
export async function makeTrainBatch(
  source: Source,
  recipe: Recipe,
  step: number,
  memory: SharedArrayBuffer,
): Promise<TrainBatch> {
  const { seed, batch, resolution, teacher } = recipe;
  const examples = examplesOf(seed, step, batch, source.size);
  const stream = draws(seed, "mixup", step);
  const lambdas = Float32Array.from({ length: recipe.lambdaEach ? batch : 1 }, () =>
    mixupLambda(stream, recipe.mixup),
  );
  const mixed = lambdas.some((lambda) => lambda !== 1);
  const student = layer(memory, 0, batch, resolution, mixed);
  const own =
    teacher && teacher.training !== "none"
      ? layer(memory, student.data.length, batch, teacher.resolution, mixed)
      : undefined;
  const indices = new Int32Array(batch);
  const replaced: Replaced[] = [];
  const pictures: string[] = [];
  await eachAtOnce(batch, async (place) => {
    const { epoch, index } = examples[place]!;
    const read = await readOrReplace(source, seed, index);
    const { image } = read;
    indices[place] = read.index;
    if (read.replaced) replaced.push(read.replaced);
    if (epoch === 0) pictures[place] = digestOf(image.data).slice("sha256:".length, "sha256:".length + 16);
    const framings = framingsOf(recipe, image, epoch, index);
    writeFramed(image, framings.student, resolution, student.plain, bytesOf(place, resolution));
    if (own) writeFramed(image, framings.teacher, own.resolution, own.plain, bytesOf(place, own.resolution));
  });
  for (const { plain, data } of own ? [student, own] : [student])
    if (mixed) mixup(plain, batch, recipe.lambdaEach ? lambdas : lambdas[0]!, data);
  const asked = own ?? student;
  return {
    step,
    epoch: examples[0]!.epoch,
    indices,
    labels: indices.map((index) => source.label(index)),
    lambda: lambdas.reduce((sum, lambda) => sum + lambda) / lambdas.length,
    lambdas: recipe.lambdaEach ? lambdas : undefined,
    views: viewsOf(student.data, batch, resolution),
    teacherViews: own && viewsOf(own.data, batch, own.resolution),
    chunks: chunksOf(asked.data, batch, recipe.chunk, asked.resolution),
    ...inOrder(replaced),
    pictures: pictures.length > 0 ? pictures : undefined,
  };
}

/** Where the views of one who sees them are written, and what they become once mixed, if they are. */
function layer(
  memory: SharedArrayBuffer,
  offset: number,
  count: number,
  resolution: number,
  mixed: boolean,
): { resolution: number; plain: Uint8Array; data: Uint8Array } {
  const data = new Uint8Array(memory, offset, bytesOf(count, resolution));
  return { resolution, data, plain: mixed ? new Uint8Array(data.length) : data };
}

/**
 * Makes the central views of `count` images from `start` on into `memory`. A corrupt image has another's view and
 * the label -1.
 *
 * @throws UserError naming the image that could not be read for another reason than its bytes.
 */
export async function makeEvalBatch(
  source: Source,
  { seed, resolution, centralSide, teacher }: Pick<Recipe, "seed" | "resolution" | "centralSide" | "teacher">,
  start: number,
  count: number,
  memory: SharedArrayBuffer,
): Promise<EvalBatch> {
  if (start < 0 || count < 1 || start + count > source.size) {
    throw new RangeError(`${source.name} has ${source.size} images, not ${start} … ${start + count - 1}`);
  }
  const data = new Uint8Array(memory, 0, bytesOf(count, resolution));
  const own =
    teacher && teacher.resolution !== resolution
      ? layer(memory, data.length, count, teacher.resolution, false)
      : undefined;
  const labels = Int32Array.from({ length: count }, (_, place) => source.label(start + place));
  const replaced: Replaced[] = [];
  await eachAtOnce(count, async (place) => {
    const { image, replaced: corrupt } = await readOrReplace(source, seed, start + place);
    if (corrupt) {
      replaced.push(corrupt);
      labels[place] = -1;
    }
    writeCentralView(image, resolution, data, bytesOf(place, resolution), centralSide);
    if (!own) return;
    const side = centralSide && Math.round((centralSide * own.resolution) / resolution);
    writeCentralView(image, own.resolution, own.data, bytesOf(place, own.resolution), side);
  });
  return {
    indices: Int32Array.from({ length: count }, (_, place) => start + place),
    labels,
    views: viewsOf(data, count, resolution),
    teacherViews: own && viewsOf(own.data, count, own.resolution),
    ...inOrder(replaced),
  };
}

/** Reads end in any order; each image is told once. */
function inOrder(replaced: Replaced[]): { replaced?: Replaced[] } {
  if (replaced.length === 0) return {};
  const byIndex = new Map(replaced.map((one) => [one.index, one]));
  return { replaced: [...byIndex.values()].sort((a, b) => a.index - b.index) };
}

/** Does `work` for 0 … count-1, a few at once. After a failure begins no more, and throws once all have ended. */
export async function eachAtOnce(count: number, work: (place: number) => Promise<void>): Promise<void> {
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

/** Bytes as views, with their digest. */
export function viewsOf(data: Uint8Array, count: number, resolution: number): Views {
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
