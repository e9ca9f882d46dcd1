import { UserError } from "@funmatch/config";
import type { EvalBatch, Recipe, TrainBatch, Views } from "./batch.ts";
import { type CorruptImages, countCorrupt } from "./corrupt-count.ts";
import type { FixedBatch, FixedView } from "./fixed-views.ts";
import { bytesOf, bytesOfBatch, bytesOfEvaluation } from "./layers.ts";
import { lendMemory } from "./memory.ts";
import type { Task } from "./pool-worker.ts";
import { indexSources, type Source, type SourceSpec, sameClasses, sourceOf } from "./source.ts";
import { startThreads } from "./threads.ts";

/** What a pool needs to know: the recipe of training batches, the data, and how many threads share the work. */
export interface PoolOptions extends Recipe {
  train: SourceSpec;
  /** Splits to evaluate on, by name. The training images are always there too, as "train". */
  splits: Record<string, SourceSpec>;
  /** Those of `splits` that may have other classes than the training images: a probe's. */
  otherClasses?: string[];
  workers: number;
  /** Share of a split's images that may be corrupt; absent: none. */
  maxCorrupt?: number;
  /** Corrupt images that the run has met before. */
  corrupt?: CorruptImages;
  /** Told once of each corrupt image that was not met before. */
  onCorrupt?: (message: string) => void;
}

/** Threads that turn images into batches. Which thread makes a batch, and how many there are, changes no byte of it. */
export interface ViewPool {
  /** The opened data, "train" and every split: sizes, labels, digests. */
  sources: Record<string, Source>;
  /** The corrupt images met so far. */
  corrupt(): CorruptImages;
  /** The batch of a training step (from 1). Ask for several steps at once to keep all threads busy. */
  train(step: number): Promise<TrainBatch>;
  /** Central views of `count` images of a split, from image `start` on. */
  evaluation(split: string, start: number, count: number): Promise<EvalBatch>;
  /** Fixed views of training images: of view v the image is floor(v / ensemble). */
  fixed(view: FixedView, start: number, count: number): Promise<FixedBatch>;
  /**
   * Gives a batch's memory back for a later batch. Its `views.data` must not be touched afterwards, by tensors
   * either. A batch that is never released costs only its memory, until it is collected.
   */
  release(batch: Made): void;
  /** Ends the threads once the batches they are making are done; batches not yet begun are refused. */
  close(): Promise<void>;
}

/**
 * Opens the data and starts the threads.
 *
 * @example
 * const pool = await openPool({ train: { fashion: "train" }, splits: { test: { fashion: "test" } }, seed: 0,
 *   batch: 128, resolution: 28, chunk: 128, view: "ic", mixup: 1, workers: 2 });
 * const { views, labels } = await pool.train(1);
 * @throws UserError if the data is missing or its splits have different classes.
 */
export async function openPool(options: PoolOptions): Promise<ViewPool> {
  const { train, splits, otherClasses = [], workers, maxCorrupt = 0, ...rest } = options;
  const { corrupt: known, onCorrupt, ...recipe } = rest;
  const indices = await indexSources({ ...splits, train });
  const sources = Object.fromEntries(
    Object.entries(indices).map(([split, index]) => [split, sourceOf(index)]),
  );
  for (const [name, split] of Object.entries(sources))
    if (!otherClasses.includes(name)) checkSameClasses(sources.train!, split);

  const threads = startThreads(workers, { recipe, sources: indices });
  const memory = lendMemory();
  const corrupt = countCorrupt({ sources, most: maxCorrupt, known, onFound: onCorrupt });

  async function make<Batch extends Made>(
    split: string,
    bytes: number,
    task: (memory: SharedArrayBuffer) => Task,
  ): Promise<Batch> {
    const buffer = memory.borrow(bytes);
    try {
      const batch = (await threads.run(task(buffer))) as Batch;
      if (batch.replaced) corrupt.add(split, batch.replaced);
      return inMemory(batch, buffer);
    } catch (error) {
      memory.giveBack(buffer);
      throw error;
    }
  }

  return {
    sources,
    corrupt: corrupt.found,
    train: (step) => make("train", bytesOfBatch(recipe), (memory) => ({ kind: "train", step, memory })),
    async evaluation(split, start, count) {
      if (!(split in sources)) throw new UserError(`There is no split called ${split}`);
      return make(split, bytesOfEvaluation(count, recipe), (memory) => ({
        kind: "evaluation",
        split,
        start,
        count,
        memory,
      }));
    },
    fixed: (view, start, count) =>
      make("train", bytesOf(count, view.resolution), (memory) => ({
        kind: "fixed",
        view,
        start,
        count,
        memory,
      })),
    release: (batch) => memory.giveBack(batch.views.data.buffer as SharedArrayBuffer),
    close: threads.close,
  };
}

/** A batch of any kind. */
type Made = TrainBatch | EvalBatch | FixedBatch;

/**
 * The thread's answer carries another handle on the memory that was lent to it: this keeps to ours, which can be given
 * back. Views that were one object stay one.
 */
function inMemory<Batch extends Made>(batch: Batch, buffer: SharedArrayBuffer): Batch {
  const known = new Map<Views, Views>();
  const ours = (views: Views): Views => {
    const found = known.get(views) ?? {
      ...views,
      data: new Uint8Array(buffer, views.data.byteOffset, views.data.length),
    };
    known.set(views, found);
    return found;
  };
  return {
    ...batch,
    views: ours(batch.views),
    ...("questions" in batch && {
      questions: batch.questions.map(({ views, chunks }) => ({ views: ours(views), chunks })),
    }),
    ...("teacherViews" in batch && { teacherViews: batch.teacherViews.map(ours) }),
  };
}

function checkSameClasses(train: Source, split: Source): void {
  if (sameClasses(train, split)) return;
  const extra = split.labels.find((label) => !train.labels.includes(label));
  const lacking = train.labels.find((label) => !split.labels.includes(label));
  let difference = `${split.name} has them in another order`;
  if (lacking !== undefined) difference = `${split.name} lacks the class ${lacking}`;
  if (extra !== undefined) difference = `${split.name} has a class ${extra}, which the training data lacks`;
  throw new UserError(`All splits must have the same classes: ${difference}`);
}
