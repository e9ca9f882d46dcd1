import { availableParallelism } from "node:os";
import { openPool } from "../../student-trainer/data/pool.ts";
import { median, type Row } from "../benchmark.ts";

/**
 * How much faster views are made by several threads: the bundled pictures as inception crops, flipped and mixed. The
 * rate that it would be in the linear case is that of one thread, times as many as there are, but no more than cores.
 */
export async function viewThreadRows(o: {
  threads: number[];
  resolution: number;
  batches: number;
  rounds: number;
}): Promise<Row[]> {
  const rates = new Map<number, number[]>(o.threads.map((threads) => [threads, []]));
  for (let round = 0; round < o.rounds; round++)
    for (const [threads, found] of rates) found.push(await rateOf(threads, o));
  const one = median(rates.get(1)!);
  return [...rates].map(([threads, found]) => {
    const peers = { "if linear": one * Math.min(threads, availableParallelism()) };
    return {
      name: `views of ${o.resolution} px, ${threads} threads`,
      ...{ dtype: "float32", unit: "images/s", ours: median(found), peers },
      ratio: median(found) / peers["if linear"],
      details: { "each round, images/s": found.map((rate) => rate.toFixed(0)).join(" ") },
    };
  });
}

const BATCH = 64;

async function rateOf(
  workers: number,
  { resolution, batches }: { resolution: number; batches: number },
): Promise<number> {
  const pool = await openPool({
    ...{ train: { fashion: "train" }, splits: {}, seed: 0, batch: BATCH, resolution, chunk: BATCH },
    ...{ view: "ic", mixup: 1, workers },
  });
  try {
    const make = async (step: number) => pool.release(await pool.train(step));
    await Promise.all(Array.from({ length: 2 * workers }, (_, i) => make(1 + i))); // until they are compiled
    const began = performance.now();
    await Promise.all(Array.from({ length: batches }, (_, i) => make(100 + i)));
    return (batches * BATCH * 1000) / (performance.now() - began);
  } finally {
    await pool.close();
  }
}
