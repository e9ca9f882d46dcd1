import {
  type CropRange,
  draws,
  type Framing,
  mixup,
  mixupLambda,
  type PlacedView,
  type ViewKind,
  writeCentralView,
  writeFramed,
  writeFromJpeg,
} from "@funmatch/views";
import { type Replaced, readOrReplace } from "./corrupt.ts";
import { framingsOf } from "./framings.ts";
import {
  bytesOf,
  chunksOf,
  digestOf,
  eachTeachersViews,
  evaluationSides,
  type Layer,
  layersIn,
  teachersOf,
  trainingSides,
  viewsOf,
} from "./layers.ts";
import { lendMemory } from "./memory.ts";
import { examplesOf } from "./order.ts";
import type { Source } from "./source.ts";

/** Images of a batch that are read at the same time: enough to hide the disk, few enough to bound memory. */
const READS_AT_ONCE = 4;

/** Where views are written before they are mixed; used again, so that batches leave nothing to collect. */
const unmixed = lendMemory();

/** Everything, besides the images themselves, that decides the bytes of a training batch. */
export interface Recipe {
  seed: number;
  /** Images a step. */
  batch: number;
  /** Side of the square views, in pixels. */
  resolution: number;
  /** Images a request to a teacher, at most, unless the teacher has a number of its own. */
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
  /** What each teacher is asked for; absent: one teacher, asked for the student's views. */
  teachers?: TeacherViews[];
}

/** What a teacher sees. */
export interface TeacherViews {
  /** Side of the teacher's square views, in pixels. */
  resolution: number;
  /**
   * In training. same: the student's crop and flip, mixed alike; independent: drawn anew, for all teachers alike;
   * none: it is not asked about training batches.
   */
  training: "same" | "independent" | "none";
  /** Images a request, at most; absent: the recipe's. */
  chunk?: number;
}

/** Images as the teacher and the student see them: uint8 [N, H, W, 3], in shared memory, and "sha256:<hex>" of it. */
export interface Views {
  shape: [number, number, number, number];
  data: Uint8Array;
  digest: string;
}

/** What a teacher is asked: for which views (those of the student, the very same object, where it sees what the student sees), in which requests. */
export interface Question {
  views: Views;
  chunks: Chunk[];
}

/** Part of a batch that goes to a teacher in one request: `count` images from `start` on, and their digest. */
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
  /** One for each teacher that is asked about training batches. */
  questions: Question[];
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
  /** The same pictures for each teacher, at its resolution; `views` itself where that is the student's. */
  teacherViews: Views[];
}

/**
 * Makes the batch of a step into `memory`, which must have `bytesOfBatch` bytes. The bytes depend on the recipe,
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
  const { seed, batch, resolution } = recipe;
  const examples = examplesOf(seed, step, batch, source.size);
  const stream = draws(seed, "mixup", step);
  const lambdas = Float32Array.from({ length: recipe.lambdaEach ? batch : 1 }, () =>
    mixupLambda(stream, recipe.mixup),
  );
  const mixed = lambdas.some((lambda) => lambda !== 1);
  const sides = [resolution, ...trainingSides(recipe)];
  const elsewhere = (bytes: number) => new Uint8Array(unmixed.borrow(bytes));
  const { first: student, others } = layersIn(memory, batch, sides, mixed ? elsewhere : undefined);
  const indices = new Int32Array(batch);
  const replaced: Replaced[] = [];
  const pictures: string[] = [];
  await eachAtOnce(batch, async (place) => {
    const { epoch, index } = examples[place]!;
    const viewsOf = (picture: Size): PlacedView[] => {
      const framings = framingsOf(recipe, picture, epoch, index);
      return [
        placed(framings.student, student, place),
        ...others.map((layer) => placed(framings.teacher, layer, place)),
      ];
    };
    // The first epoch digests whole pictures.
    if (epoch > 0 && writeFromFile(source, index, viewsOf)) {
      indices[place] = index;
      return;
    }
    const read = await readOrReplace(source, seed, index);
    const { image } = read;
    indices[place] = read.index;
    if (read.replaced) replaced.push(read.replaced);
    if (epoch === 0) pictures[place] = digestOf(image.data).slice("sha256:".length, "sha256:".length + 16);
    for (const { framing, resolution: side, out, offset } of viewsOf(image))
      writeFramed(image, framing, side, out, offset);
  });
  for (const { plain, data } of mixed ? [student, ...others] : []) {
    mixup(plain, batch, recipe.lambdaEach ? lambdas : lambdas[0]!, data);
    unmixed.giveBack(plain.buffer as SharedArrayBuffer);
  }
  const views = viewsOf(student.data, batch, resolution);
  return {
    step,
    epoch: examples[0]!.epoch,
    indices,
    labels: indices.map((index) => source.label(index)),
    lambda: lambdas.reduce((sum, lambda) => sum + lambda) / lambdas.length,
    lambdas: recipe.lambdaEach ? lambdas : undefined,
    views,
    questions: questionsOf(recipe, views, others),
    ...inOrder(replaced),
    pictures: pictures.length > 0 ? pictures : undefined,
  };
}

type Size = { height: number; width: number };

function placed(framing: Framing, { plain, resolution }: Layer, place: number): PlacedView {
  return { framing, resolution, out: plain, offset: bytesOf(place, resolution) };
}

/**
 * Writes the views of an image that was read before from the part of its file that they show: the bytes that it has
 * whole. False: it must be read whole, which also says what is wrong with it.
 */
function writeFromFile(source: Source, index: number, viewsOf: (picture: Size) => PlacedView[]): boolean {
  let bytes: Uint8Array | undefined;
  try {
    bytes = source.encoded?.(index);
  } catch {
    return false;
  }
  if (bytes === undefined) return false;
  const written = writeFromJpeg(bytes, viewsOf);
  // The decoder would say the same, on stderr too, in every epoch.
  if (!written) source.onlyWhole?.(index);
  return written;
}

/** What each teacher is asked about a training batch; views that several are asked for are hashed once. */
function questionsOf(recipe: Recipe, student: Views, others: Layer[]): Question[] {
  const own = others.map(({ data, resolution }) => viewsOf(data, recipe.batch, resolution));
  const views = eachTeachersViews(recipe, student, own);
  return teachersOf(recipe).flatMap(({ training, chunk = recipe.chunk }, i) =>
    training === "none" ? [] : [{ views: views[i]!, chunks: chunksOf(views[i]!, chunk) }],
  );
}

/**
 * Makes the central views of `count` images from `start` on into `memory`. A corrupt image has another's view and
 * the label -1.
 *
 * @throws UserError naming the image that could not be read for another reason than its bytes.
 */
export async function makeEvalBatch(
  source: Source,
  recipe: Pick<Recipe, "seed" | "resolution" | "centralSide" | "teachers">,
  start: number,
  count: number,
  memory: SharedArrayBuffer,
): Promise<EvalBatch> {
  const { seed, resolution, centralSide } = recipe;
  if (start < 0 || count < 1 || start + count > source.size) {
    throw new RangeError(`${source.name} has ${source.size} images, not ${start} … ${start + count - 1}`);
  }
  const sides = [resolution, ...evaluationSides(recipe)];
  const { first, others } = layersIn(memory, count, sides);
  const labels = Int32Array.from({ length: count }, (_, place) => source.label(start + place));
  const replaced: Replaced[] = [];
  await eachAtOnce(count, async (place) => {
    const { image, replaced: corrupt } = await readOrReplace(source, seed, start + place);
    if (corrupt) {
      replaced.push(corrupt);
      labels[place] = -1;
    }
    for (const { resolution: own, data } of [first, ...others]) {
      const side = centralSide && Math.round((centralSide * own) / resolution);
      writeCentralView(image, own, data, bytesOf(place, own), side);
    }
  });
  const views = viewsOf(first.data, count, resolution);
  const own = others.map((other) => viewsOf(other.data, count, other.resolution));
  return {
    indices: Int32Array.from({ length: count }, (_, place) => start + place),
    labels,
    views,
    teacherViews: eachTeachersViews(recipe, views, own),
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
