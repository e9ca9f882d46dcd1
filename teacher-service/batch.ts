import type { ImageDtype, Purpose } from "@funmatch/wire";
import { openQueue, type Slice } from "./queue.ts";

/** Images as they came: `shape` is [N, H, W, C], `data` row-major, little-endian, pixel units 0..255. */
export interface Images {
  readonly dtype: ImageDtype;
  readonly shape: readonly [number, number, number, number];
  readonly data: Uint8Array;
}

/** One forward pass: the slices' images one after the other, padded to `size`. */
export interface Pass {
  readonly size: number;
  /** Whether all are bytes of the right size, or need numbers. */
  readonly input: ImageDtype;
  readonly slices: readonly { images: Images; from: number; count: number }[];
}

/** A batch size that can be computed, and how long a pass of it takes. */
export interface BatchSize {
  readonly images: number;
  readonly seconds: number;
}

/** An answer to one request. */
export interface Answer {
  /** [N, K], in the request's order. */
  readonly logits: Float32Array;
  readonly queueSeconds: number;
  readonly computeSeconds: number;
}

export interface Batcher {
  /**
   * Waits for a turn and computes.
   *
   * @param signal takes the request out of the queue; its reason is what the promise rejects with
   */
  ask(images: Images, input: ImageDtype, purpose: Purpose, signal: AbortSignal): Promise<Answer>;
  /** Time until everything that waits now is done, by the throughput measured so far. */
  backlogSeconds(): number;
  readonly waitingRequests: number;
}

interface Job {
  readonly purpose: Purpose;
  readonly group: ImageDtype;
  readonly images: number;
  readonly content: Images;
  readonly since: number;
  readonly logits: Float32Array;
  missing: number;
  computeSeconds: number;
  readonly settle: { resolve(answer: Answer): void; reject(reason: unknown): void };
}

/**
 * Merges waiting requests into forward passes, one pass at a time: while it is computed, the next one gathers.
 *
 * @param compute runs a pass and gives [sum of counts, K]; its rejection is what the pass's requests get
 */
export function openBatcher(o: {
  sizes: readonly BatchSize[];
  classes: number;
  compute: (pass: Pass) => Promise<Float32Array>;
}): Batcher {
  const queue = openQueue<Job>();
  let computing = 0;
  let imagesPerSecond = Math.max(...o.sizes.map((size) => size.images / size.seconds));

  async function work(): Promise<void> {
    while (queue.requests > 0) {
      const size = chooseSize(o.sizes, queue.ready());
      const slices = queue.take(size);
      computing = slices.reduce((sum, slice) => sum + slice.count, 0);
      const started = performance.now();
      try {
        const logits = await o.compute(passOf(size, slices));
        const seconds = (performance.now() - started) / 1000;
        // Recent passes count most, so that the figure follows other load on the machine.
        imagesPerSecond += 0.2 * (computing / seconds - imagesPerSecond);
        handOut(slices, logits, o.classes, seconds);
      } catch (error) {
        for (const { item } of slices) giveUp(item, error);
      }
    }
    computing = 0;
  }

  function giveUp(job: Job, reason: unknown): void {
    queue.remove(job);
    job.settle.reject(reason);
  }

  return {
    async ask(images, input, purpose, signal) {
      signal.throwIfAborted();
      const count = images.shape[0];
      const { promise, resolve, reject } = Promise.withResolvers<Answer>();
      const job: Job = {
        purpose,
        group: input,
        images: count,
        content: images,
        since: performance.now(),
        logits: new Float32Array(count * o.classes),
        missing: count,
        computeSeconds: 0,
        settle: { resolve, reject },
      };
      const onAbort = () => giveUp(job, signal.reason);
      signal.addEventListener("abort", onAbort);
      queue.add(job);
      if (computing === 0) void work();
      try {
        return await promise;
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    },
    backlogSeconds: () => (queue.images + computing) / imagesPerSecond,
    get waitingRequests() {
      return queue.requests;
    },
  };
}

/**
 * The size that answers the most images a second: a little padding beats a second pass, much padding does not.
 *
 * @example chooseSize([{ images: 8, seconds: 0.1 }, { images: 64, seconds: 0.6 }], 9) // 8
 */
export function chooseSize(sizes: readonly BatchSize[], waiting: number): number {
  const rate = (size: BatchSize) => Math.min(waiting, size.images) / size.seconds;
  return sizes.reduce((best, size) => (rate(size) > rate(best) ? size : best)).images;
}

function passOf(size: number, slices: Slice<Job>[]): Pass {
  return {
    size,
    input: slices[0]!.item.group,
    slices: slices.map(({ item, from, count }) => ({ images: item.content, from, count })),
  };
}

/** Gives each request its rows of a pass, and its answer when no row is missing. */
function handOut(slices: Slice<Job>[], logits: Float32Array, classes: number, seconds: number): void {
  let row = 0;
  for (const { item, from, count } of slices) {
    item.logits.set(logits.subarray(row * classes, (row + count) * classes), from * classes);
    row += count;
    item.missing -= count;
    item.computeSeconds += seconds;
    if (item.missing > 0) continue;
    const queueSeconds = (performance.now() - item.since) / 1000 - item.computeSeconds;
    item.settle.resolve({
      logits: item.logits,
      queueSeconds: Math.max(0, queueSeconds),
      computeSeconds: item.computeSeconds,
    });
  }
}
