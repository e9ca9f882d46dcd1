/** Indexes a list file of one size, and uses the index, in a process of its own so that its memory is its own. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { indexList } from "../../student-trainer/data/list.ts";
import type { ListIndex } from "../../student-trainer/data/listed-files.ts";
import { examplesOf } from "../../student-trainer/data/order.ts";
import { noneSeen } from "../../student-trainer/data/seen.ts";
import { sliceOf } from "../../student-trainer/data/slice.ts";
import { type Source, sourceOf } from "../../student-trainer/data/source.ts";

export interface IndexOrder {
  folder: string;
  list: string;
}

export interface IndexAnswer {
  indexMs: number;
  /** The index itself, and what the process grew by at most while it was made. */
  indexMb: number;
  peakMb: number;
  /** To start a thread that has the index. */
  threadMs: number;
  /** Of single steps, in ms: which images, their labels and paths. */
  steps: number[];
  /** To choose a part of the images. */
  sliceMs: number;
}

const BATCH = 64;
const STEPS = 500;

process.once("message", async (order: IndexOrder) => {
  const before = process.memoryUsage.rss() / 2 ** 20;
  const [indexMs, index] = await timed(() => indexList(order));
  const peakMb = process.resourceUsage().maxRSS / 1024 - before;
  const [threadMs] = await timed(() => threadWith(index));
  const source = sourceOf({ ...index, seen: noneSeen(index.classes.length) });
  const steps = stepsOf(source);
  const [sliceMs] = await timed(() => sliceOf("[:90%]", source));
  const indexMb =
    (index.names.bytes.length + index.names.ends.byteLength + index.classes.byteLength) / 2 ** 20;
  process.send?.({ indexMs, indexMb, peakMb, threadMs, steps, sliceMs } satisfies IndexAnswer);
});

/** Steps spread over the first epochs, each by its own time. */
function stepsOf(source: Source): number[] {
  const one = (step: number) => {
    const began = performance.now();
    for (const { index } of examplesOf(0, step, BATCH, source.size)) {
      source.label(index);
      source.nameOf(index);
    }
    return performance.now() - began;
  };
  for (let step = 1; step <= STEPS; step++) one(step); // until it is compiled
  const apart = Math.ceil((3 * source.size) / BATCH / STEPS);
  return Array.from({ length: STEPS }, (_, i) => one(1 + i * apart));
}

async function threadWith(index: ListIndex): Promise<void> {
  const code = 'require("node:worker_threads").parentPort.postMessage("here")';
  const thread = new Worker(code, { eval: true, workerData: index });
  await once(thread, "message");
  await thread.terminate();
}

async function timed<T>(make: () => T | Promise<T>): Promise<[ms: number, made: T]> {
  const began = performance.now();
  const made = await make();
  return [performance.now() - began, made];
}
