/** Our side: batches as the trainer's view threads make them, one thread, two batches asked ahead. */
import { createInterface } from "node:readline";
import { openPool, type ViewPool } from "../../student-trainer/data/pool.ts";
import type { SourceSpec } from "../../student-trainer/data/source.ts";
import type { MeasureOrder, SideData, Speed } from "./sides.ts";

const AHEAD = 2;

/** A pool past its first epoch, in which whole pictures are decoded and digested. */
interface Warm {
  pool: ViewPool;
  /** The next step. */
  step: number;
  firstEpochImagesPerSecond: number;
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { train }: SideData = JSON.parse((await lines.next()).value ?? "");
answer({ ready: true });
const pools = new Map<string, Promise<Warm>>();
for (let line = await lines.next(); !line.done; line = await lines.next())
  answer(await measure(JSON.parse(line.value)));
for (const warm of pools.values()) await (await warm).pool.close();

async function measure(order: MeasureOrder): Promise<Speed> {
  const key = `${order.pictures} ${order.side}`;
  if (!pools.has(key)) pools.set(key, open(order));
  const warm = await (pools.get(key) as Promise<Warm>);
  await make(warm, (seconds) => seconds >= order.warmUpSeconds);
  const cpu = process.cpuUsage();
  const made = await make(warm, (seconds) => seconds >= order.seconds);
  const { user, system } = process.cpuUsage(cpu);
  const { firstEpochImagesPerSecond } = warm;
  return { ...made, cpuSeconds: (user + system) / 1e6, firstEpochImagesPerSecond };
}

async function open({ pictures, side, batch }: MeasureOrder): Promise<Warm> {
  const spec: SourceSpec = pictures === "photographs" ? { folder: train } : { fashion: "train" };
  const recipe = { seed: 0, batch, resolution: side, chunk: batch, view: "ic", mixup: 1 } as const;
  const pool = await openPool({ ...recipe, train: spec, splits: {}, workers: 1 });
  const warm = { pool, step: 1, firstEpochImagesPerSecond: 0 };
  const epoch = pool.sources.train?.size as number;
  const { images, seconds } = await make(warm, (_, made) => made + batch > epoch);
  // The batch in which the epoch ends is of two.
  await make(warm, (_, made) => made > 0);
  return { ...warm, firstEpochImagesPerSecond: images / seconds };
}

/** Makes batches until `enough` says so. */
async function make(
  warm: Warm,
  enough: (seconds: number, images: number) => boolean,
): Promise<{ images: number; seconds: number }> {
  const began = performance.now();
  const asked = Array.from({ length: AHEAD }, () => warm.pool.train(warm.step++));
  let images = 0;
  for (;;) {
    const batch = await (asked.shift() as ReturnType<ViewPool["train"]>);
    images += batch.indices.length;
    warm.pool.release(batch);
    const seconds = (performance.now() - began) / 1000;
    if (enough(seconds, images)) {
      for (const rest of asked) warm.pool.release(await rest);
      return { images, seconds };
    }
    asked.push(warm.pool.train(warm.step++));
  }
}

function answer(fields: object): void {
  process.stdout.write(`${JSON.stringify(fields)}\n`);
}
