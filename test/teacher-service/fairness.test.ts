import { expect, test, vi } from "vitest";
import { openBatcher } from "../../teacher-service/queue/batch.ts";

/** What a BiT-R26x0.5 at 64 px takes on two cores, in seconds: 230 images a second at best. */
const SIZES = [
  { images: 1, seconds: 0.0056 },
  { images: 4, seconds: 0.0185 },
  { images: 8, seconds: 0.036 },
  { images: 32, seconds: 0.139 },
  { images: 128, seconds: 0.556 },
];
const CAPACITY = 128 / 0.556;
const ASKED = 200;

/**
 * The latencies of a victim that asks for a fifth of the capacity, in a time that only passes compute in: the rule
 * itself, whatever else the machine does. The real service is measured by bench/fairness.
 */
async function latencies(o: { flood: number; images: number; sharedThroughput: number }): Promise<number[]> {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
  try {
    const sleep = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const batcher = openBatcher({
      sizes: SIZES,
      ...{ classes: 1, maxDelaySeconds: 0, weightOf: () => 1, sharedThroughput: o.sharedThroughput },
      async compute({ size, slices }) {
        await sleep(SIZES.find((each) => each.images === size)!.seconds);
        return new Float32Array(slices.reduce((sum, slice) => sum + slice.count, 0));
      },
    });
    const ask = (team: string, count: number) =>
      batcher.ask(
        { dtype: "uint8", shape: [count, 1, 1, 1], data: new Uint8Array(count) },
        { team, purpose: "train" },
        new AbortController().signal,
      );
    let flooding = true;
    for (let i = 0; i < o.flood; i++)
      void (async () => {
        while (flooding) await ask("flood", 8);
      })();
    const found: number[] = [];
    let state = 1;
    const victim = (async () => {
      const answers: Promise<void>[] = [];
      for (let i = 0; i < ASKED; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        await sleep((-Math.log((state + 0.5) / 2 ** 32) * o.images) / (0.2 * CAPACITY));
        const due = performance.now();
        answers.push(ask("victim", o.images).then(() => void found.push(performance.now() - due)));
      }
      await Promise.all(answers);
    })();
    let done = false;
    void victim.then(() => {
      done = true;
    });
    while (!done) await vi.advanceTimersByTimeAsync(1000);
    flooding = false;
    return found.sort((a, b) => a - b);
  } finally {
    vi.useRealTimers();
  }
}

const median = (sorted: number[]) => sorted[sorted.length >> 1]!;

test.each([8, 32])(
  "beside a flood over 64 connections the median of requests of %i images grows less than 1.5 times",
  async (images) => {
    const quiet = await latencies({ flood: 0, images, sharedThroughput: 0.8 });
    const flooded = await latencies({ flood: 64, images, sharedThroughput: 0.8 });
    expect(flooded).toHaveLength(ASKED);
    expect(median(flooded) / median(quiet)).toBeLessThan(1.5);
  },
);

test("passes as long as for one team alone would cost others several times that", async () => {
  const short = await latencies({ flood: 64, images: 8, sharedThroughput: 0.8 });
  const long = await latencies({ flood: 64, images: 8, sharedThroughput: 1 });
  expect(median(long)).toBeGreaterThan(3 * median(short));
});
