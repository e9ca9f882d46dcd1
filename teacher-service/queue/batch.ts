import { type ImageDtype, type Purpose, WireError } from "@funmatch/wire";
import { type BatchSize, bestRate, chooseSize, sharedSizes, worthWaiting } from "./batch-size.ts";
import type { Slice } from "./fair-share.ts";
import { openQueue } from "./queue.ts";

/** Images as they came: `shape` is [N, H, W, C], `data` row-major, little-endian, pixel units 0..255. */
export interface Images {
  readonly dtype: ImageDtype;
  readonly shape: readonly [number, number, number, number];
  readonly data: Uint8Array;
}

/** One forward pass: the slices' images one after the other, padded to `size`. */
export interface Pass {
  readonly size: number;
  readonly slices: readonly { images: Images; from: number; count: number }[];
}

/** An answer to one request. */
export interface Answer {
  /** [N, K], in the request's order. */
  readonly logits: Float32Array;
  readonly queueSeconds: number;
  readonly computeSeconds: number;
}

/** Whose a request is, and how urgent. */
export interface Turn {
  readonly team: string;
  readonly purpose: Purpose;
  /** When its answer is of no use any more (`performance.now()`). */
  readonly deadline?: number;
}

/** A request that left the queue before it was computed. */
export interface Dropped extends Turn {
  readonly reason: "expired" | "given_up";
  /** Those of its images that no pass had taken: what was not spent on it. */
  readonly images: number;
}

/** A pass that is over. */
export interface Passed {
  readonly images: number;
  /** Images with those that only filled it. */
  readonly size: number;
  readonly requests: number;
  readonly seconds: number;
}

export interface Batcher {
  /**
   * Waits for a turn and computes.
   *
   * @param signal takes the request out of the queue; its reason is what the promise rejects with
   */
  ask(images: Images, turn: Turn, signal: AbortSignal): Promise<Answer>;
  /**
   * Time until a part (0 to 1) of what a team has waiting is answered, beside the others and by the throughput measured
   * so far.
   */
  backlogSeconds(part: number, team: string): number;
  readonly waitingRequests: number;
}

/** How requests become passes. */
export interface Batching {
  readonly sizes: readonly BatchSize[];
  /** The longest that a pass may wait for more images while nothing is computed; it only does where that pays. */
  readonly maxDelaySeconds: number;
  /** While several teams ask, a pass is as short as this share of the best throughput allows. */
  readonly sharedThroughput: number;
}

interface Job extends Turn {
  readonly images: number;
  readonly content: Images;
  readonly since: number;
  /** Of a request that takes several passes, what is there so far. */
  logits?: Float32Array;
  taken: number;
  missing: number;
  computeSeconds: number;
  readonly settle: { resolve(answer: Answer): void; reject(reason: unknown): void };
}

/**
 * So long before a pass should end the next one is chosen and handed over: an answer and the next pass cross in the
 * time between two threads, and the processor does not wait for it. Whoever asks later than that misses the next pass.
 */
const AHEAD_MS = 4;

/** How long a team counts as one that asks after it has asked. */
export const SHARED_MS = 10_000;

/**
 * Merges waiting requests into forward passes, one at a time: while it is computed, the next one gathers.
 *
 * @param compute runs a pass and gives [sum of counts, K]; its rejection is what the pass's requests get
 */
export function openBatcher(
  o: Batching & {
    classes: number;
    weightOf: (team: string) => number;
    compute: (pass: Pass) => Promise<Float32Array>;
    onDrop?: (dropped: Dropped) => void;
    onPass?: (pass: Passed) => void;
  },
): Batcher {
  const burst = Math.max(...o.sizes.map((size) => size.images));
  const queue = openQueue<Job>({ weightOf: o.weightOf, burst });
  const shortSizes = sharedSizes(o.sizes, o.sharedThroughput);
  const askers = watchAskers();
  let working = false;
  /** Images in the pass that is computed, and in the one behind it. */
  let computing = 0;
  /** The pass that was handed over last. */
  let latest = Promise.resolve();
  /** How much longer passes take now than when their sizes were measured: other work may be on the machine. */
  let slowness = 1;
  let onArrival = () => {};

  const sizesNow = () => (askers.several() ? shortSizes : o.sizes);

  async function work(): Promise<void> {
    working = true;
    while (queue.requests > 0) {
      if (o.maxDelaySeconds > 0) await gathered();
      const size = chooseSize(sizesNow(), queue.images);
      const slices = queue.take(size.images).filter(isInTime);
      if (slices.length === 0) continue;
      const before = latest;
      latest = computed(size, slices, before);
      await before;
      const expectedMs = 1000 * size.seconds * slowness;
      // Nobody's request stands back behind a pass that another team's filled before it had to be.
      if (askers.several()) await latest;
      else await overOrAfter(latest, expectedMs - Math.min(AHEAD_MS, expectedMs / 4));
    }
    working = false;
  }

  /** Settles when a pass is over and its requests are answered; `before` is the pass that its thread computes first. */
  async function computed(size: BatchSize, slices: Slice<Job>[], before: Promise<void>): Promise<void> {
    const images = slices.reduce((sum, slice) => sum + slice.count, 0);
    for (const { item, count } of slices) item.taken += count;
    computing += images;
    let started = performance.now();
    void before.then(() => {
      started = performance.now();
    });
    try {
      const logits = await o.compute(passOf(size.images, slices));
      const seconds = (performance.now() - started) / 1000;
      // Recent passes count most, so that the figure follows other load on the machine.
      slowness += 0.2 * (seconds / size.seconds - slowness);
      o.onPass?.({ images, size: size.images, requests: slices.length, seconds });
      handOut(slices, logits, o.classes, seconds);
    } catch (error) {
      for (const { item } of slices) {
        queue.remove(item);
        item.settle.reject(error);
      }
    }
    computing -= images;
  }

  /** Waits for more images where that pays. */
  async function gathered(): Promise<void> {
    const until = performance.now() + o.maxDelaySeconds * 1000;
    while (queue.requests > 0) {
      const most = (until - performance.now()) / 1000;
      const seconds = worthWaiting(sizesNow(), queue.images, askers.pace(), most);
      if (seconds <= 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      onArrival = resolve;
      const timer = setTimeout(resolve, seconds * 1000);
      await promise;
      clearTimeout(timer);
    }
  }

  /** Its timer may be late when much else is to do; then it is dropped here. */
  function isInTime({ item }: Slice<Job>): boolean {
    if (item.deadline === undefined || performance.now() < item.deadline) return true;
    drop(item, "expired", new WireError("deadline_exceeded", "its turn came after its deadline"));
    return false;
  }

  function drop(job: Job, reason: Dropped["reason"], error: unknown): void {
    queue.remove(job);
    const { team, purpose, images, taken } = job;
    if (taken < images) o.onDrop?.({ team, purpose, reason, images: images - taken });
    job.settle.reject(error);
  }

  return {
    async ask(images, turn, signal) {
      signal.throwIfAborted();
      const count = images.shape[0];
      const { promise, resolve, reject } = Promise.withResolvers<Answer>();
      const job: Job = {
        ...turn,
        images: count,
        content: images,
        since: performance.now(),
        taken: 0,
        missing: count,
        computeSeconds: 0,
        settle: { resolve, reject },
      };
      const onAbort = () => {
        const expired = signal.reason instanceof WireError && signal.reason.code === "deadline_exceeded";
        drop(job, expired ? "expired" : "given_up", signal.reason);
      };
      signal.addEventListener("abort", onAbort);
      askers.heard(turn.team, count);
      queue.add(job);
      onArrival();
      if (!working) void work();
      try {
        return await promise;
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    },
    backlogSeconds: (part, team) => ((queue.until(team, part) + computing) * slowness) / bestRate(sizesNow()),
    get waitingRequests() {
      return queue.requests;
    },
  };
}

/** Waits for a pass, but not for longer than this. */
async function overOrAfter(pass: Promise<void>, milliseconds: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  await Promise.race([pass, promise]);
  clearTimeout(timer);
}

/** Watches who asks and how much: cheap enough for each request. */
function watchAskers() {
  let latest: { team: string; at: number } | undefined;
  /** When a team other than the latest asked last. */
  let otherAt = Number.NEGATIVE_INFINITY;
  let pace = 0;
  return {
    heard(team: string, images: number): void {
      const now = performance.now();
      if (latest) {
        if (latest.team !== team) otherAt = latest.at;
        // A mean over about a second.
        const seconds = Math.max(1e-4, (now - latest.at) / 1000);
        pace += (1 - Math.exp(-seconds)) * (images / seconds - pace);
      }
      latest = { team, at: now };
    },
    several: () => performance.now() - otherAt < SHARED_MS,
    /** Images a second, of late. */
    pace: () => pace,
  };
}

function passOf(size: number, slices: Slice<Job>[]): Pass {
  return { size, slices: slices.map(({ item, from, count }) => ({ images: item.content, from, count })) };
}

/** Gives each request its rows of a pass, and its answer when no row is missing. */
function handOut(slices: Slice<Job>[], logits: Float32Array, classes: number, seconds: number): void {
  let row = 0;
  for (const { item, from, count } of slices) {
    const rows = logits.subarray(row * classes, (row + count) * classes);
    row += count;
    item.missing -= count;
    item.computeSeconds += seconds;
    if (count < item.images) {
      item.logits ??= new Float32Array(item.images * classes);
      item.logits.set(rows, from * classes);
    }
    if (item.missing > 0) continue;
    const queueSeconds = (performance.now() - item.since) / 1000 - item.computeSeconds;
    item.settle.resolve({
      logits: item.logits ?? rows,
      queueSeconds: Math.max(0, queueSeconds),
      computeSeconds: item.computeSeconds,
    });
  }
}
