import { WireError } from "@funmatch/wire";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Dropped, type Images, openBatcher, type Pass } from "../../teacher-service/queue/batch.ts";
import { chooseSize, sharedSizes, worthWaiting } from "../../teacher-service/queue/batch-size.ts";

const SIZES = [
  { images: 1, seconds: 0.02 },
  { images: 8, seconds: 0.04 },
];

/** Images whose only pixel is a number; the fake network below answers with that number. */
const images = (...values: number[]): Images => ({
  dtype: "uint8",
  shape: [values.length, 1, 1, 1],
  data: Uint8Array.from(values),
});

/** A batcher over a network that answers `[value, 2·value]`, one pass whenever `next` is called. */
function manual(o: { sizes?: typeof SIZES } = {}) {
  const passes: Pass[] = [];
  const dropped: Dropped[] = [];
  const waiting: (() => void)[] = [];
  const batcher = openBatcher({
    sizes: SIZES,
    maxDelaySeconds: 0,
    sharedThroughput: 0.8,
    ...o,
    weightOf: () => 1,
    classes: 2,
    onDrop: (each) => dropped.push(each),
    compute: async (pass) => {
      passes.push(pass);
      await new Promise<void>((resolve) => waiting.push(resolve));
      const values = pass.slices.flatMap((s) => [...s.images.data.subarray(s.from, s.from + s.count)]);
      if (values.includes(255)) throw new Error("the network broke");
      return Float32Array.from(values.flatMap((value) => [value, 2 * value]));
    },
  });
  const next = async () => {
    waiting.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  const askAs = (team: string, ...values: number[]) =>
    batcher
      .ask(images(...values), { team, purpose: "train" }, new AbortController().signal)
      .then((answer) => [...answer.logits]);
  return { batcher, passes, dropped, next, askAs, ask: (...values: number[]) => askAs("a", ...values) };
}

// No pass is about to end until a test says so.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("merging requests into passes", () => {
  test("what gathers during a pass is the next pass, and each request gets its own rows", async () => {
    const { ask, next, passes } = manual();
    const answers = [ask(1), ask(2, 3), ask(4)];
    expect(passes).toHaveLength(1);
    await next();
    expect(passes[1]!.slices.map((slice) => slice.count)).toEqual([2, 1]);
    await next();
    expect(await Promise.all(answers)).toEqual([
      [1, 2],
      [2, 4, 3, 6],
      [4, 8],
    ]);
  });

  test("the next pass is handed over when the one before is about to end, and no third one", async () => {
    const { ask, next, passes } = manual();
    const answers = [ask(1), ask(2)];
    await vi.advanceTimersByTimeAsync(15); // of 20 ms
    expect(passes).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(passes).toHaveLength(2);
    answers.push(ask(3));
    await vi.advanceTimersByTimeAsync(1000);
    expect(passes).toHaveLength(2);
    await next();
    await vi.advanceTimersByTimeAsync(20);
    expect(passes).toHaveLength(3);
    for (const _ of [2, 3]) await next();
    expect(await Promise.all(answers)).toEqual([
      [1, 2],
      [2, 4],
      [3, 6],
    ]);
  });

  test("while several teams ask the next pass is chosen when the one before is over", async () => {
    const { askAs, next, passes } = manual();
    const answers = [askAs("a", 1), askAs("b", 2)];
    await vi.advanceTimersByTimeAsync(1000);
    expect(passes).toHaveLength(1);
    for (const _ of [1, 2]) await next();
    await Promise.all(answers);
    expect(passes).toHaveLength(2);
  });

  test("a request larger than any pass is answered whole, in order", async () => {
    const { ask, next, passes } = manual();
    const answer = ask(...Array.from({ length: 20 }, (_, i) => i));
    for (let i = 0; i < 4; i++) await next();
    expect(await answer).toEqual(Array.from({ length: 20 }, (_, i) => [i, 2 * i]).flat());
    expect(passes.map((pass) => pass.size)).toEqual([8, 8, 8]);
  });

  test("whoever gives up leaves without being computed, and gets the reason", async () => {
    const { ask, batcher, dropped, next, passes } = manual();
    const first = ask(1);
    const gone = new AbortController();
    const second = batcher.ask(images(2), { team: "a", purpose: "train" }, gone.signal);
    expect(batcher.waitingRequests).toBe(1);
    gone.abort(new WireError("deadline_exceeded", "too late"));
    await expect(second).rejects.toThrow("too late");
    expect(dropped).toEqual([{ team: "a", purpose: "train", reason: "expired", images: 1 }]);
    expect(batcher.waitingRequests).toBe(0);
    await next();
    expect(await first).toEqual([1, 2]);
    expect(passes).toHaveLength(1);
  });

  test("a pass that fails fails its requests only; the next ones are answered", async () => {
    const { ask, next } = manual();
    const broken = expect(ask(255)).rejects.toThrow("the network broke");
    const fine = ask(3);
    await next();
    await broken;
    await next();
    expect(await fine).toEqual([3, 6]);
  });

  test("a request whose time is up before its turn costs nothing, although its timer is late", async () => {
    const { ask, batcher, dropped, next, passes } = manual();
    const first = ask(1);
    const turn = { team: "a", purpose: "eval" as const, deadline: performance.now() };
    const late = batcher.ask(images(2), turn, new AbortController().signal);
    const refused = expect(late).rejects.toMatchObject({ code: "deadline_exceeded" });
    await next();
    await refused;
    expect(await first).toEqual([1, 2]);
    expect(passes).toHaveLength(1);
    expect(dropped).toEqual([{ team: "a", purpose: "eval", reason: "expired", images: 1 }]);
  });

  test("of a large request that is given up half-way only the rest is not computed", async () => {
    const { batcher, dropped, next, passes } = manual();
    const gone = new AbortController();
    const large = batcher.ask(images(...new Array(20).fill(1)), { team: "a", purpose: "train" }, gone.signal);
    const refused = expect(large).rejects.toThrow();
    gone.abort();
    await refused;
    await next();
    expect(passes).toHaveLength(1);
    expect(dropped).toMatchObject([{ reason: "given_up", images: 12 }]);
  });

  test("time to the end of the line is told from the throughput", async () => {
    const { ask, batcher, next } = manual();
    expect(batcher.backlogSeconds(1, "a")).toBe(0);
    const answers = [ask(1), ask(...new Array(20).fill(2))];
    expect(batcher.backlogSeconds(1, "a")).toBeCloseTo(21 / 200);
    for (let i = 0; i < 5; i++) await next();
    await Promise.all(answers);
    expect(batcher.backlogSeconds(1, "a")).toBe(0);
  });

  test("a team's own share says when a part of what it waits for is done", async () => {
    const { askAs, batcher, next } = manual();
    const answers = [askAs("a", ...new Array(8).fill(1))];
    // During the pass of 8: a waits for 40 more, b for 10.
    for (const _ of [1, 2]) answers.push(askAs("a", ...new Array(20).fill(1)));
    answers.push(askAs("b", ...new Array(10).fill(1)));
    const rate = 8 / 0.04;
    expect(batcher.backlogSeconds(1, "b")).toBeCloseTo((8 + 10 + 10) / rate);
    // Of two requests a tenth is the first one: nothing is given back before it is answered.
    expect(batcher.backlogSeconds(0.1, "a")).toBeCloseTo((8 + 20 + 10) / rate);
    expect(batcher.backlogSeconds(1, "a")).toBeCloseTo((8 + 40 + 10) / rate);
    expect(batcher.backlogSeconds(1, "nobody")).toBeCloseTo(8 / rate);
    for (let i = 0; i < 9; i++) await next();
    await Promise.all(answers);
  });
});

describe("the size of a pass", () => {
  const LARGE = { images: 64, seconds: 0.3 };

  test("is the one that answers the most images a second", () => {
    expect(chooseSize(SIZES, 1).images).toBe(1);
    expect(chooseSize(SIZES, 3).images).toBe(8);
    expect(chooseSize([...SIZES, LARGE], 9).images).toBe(8);
    expect(chooseSize([...SIZES, LARGE], 63).images).toBe(64);
  });

  test("is as small as the throughput allows while several teams ask", async () => {
    // 50, 200 and 213 images a second.
    const sizes = [...SIZES, LARGE];
    expect(sharedSizes(sizes, 0.9).map((size) => size.images)).toEqual([1, 8]);
    expect(sharedSizes(sizes, 1).map((size) => size.images)).toEqual([1, 8, 64]);
    expect(sharedSizes(sizes, 0.2).map((size) => size.images)).toEqual([1]);

    const { askAs, next, passes } = manual({ sizes });
    const many = new Array(64).fill(1);
    const answers = [askAs("a", ...many), askAs("a", ...many)];
    await next();
    answers.push(askAs("b", 1));
    for (let i = 0; i < 10; i++) await next();
    await Promise.all(answers);
    // What the other asks is in the first pass after the one that was running.
    expect(passes.map((pass) => pass.size)).toEqual([64, 64, 1]);
    expect(answers).toHaveLength(3);
  });

  test("waits for more only where that answers more images a second", () => {
    // One waits; seven more come within 10 ms: 8 images in 50 ms instead of 1 in 20.
    expect(worthWaiting(SIZES, 1, 700, 0.1)).toBeCloseTo(0.01);
    // They come slowly, or not within the time allowed, or the largest size is full.
    expect(worthWaiting(SIZES, 1, 10, 1)).toBe(0);
    expect(worthWaiting(SIZES, 1, 700, 0.001)).toBe(0);
    expect(worthWaiting(SIZES, 8, 700, 0.1)).toBe(0);
  });

  test("with a delay a pass holds what comes a little later, where images come at such a pace", async () => {
    vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
    try {
      const counts: number[] = [];
      const batcher = openBatcher({
        sizes: SIZES,
        ...{ classes: 1, maxDelaySeconds: 0.05, sharedThroughput: 1, weightOf: () => 1 },
        compute: async ({ slices }) => {
          counts.push(slices.reduce((sum, slice) => sum + slice.count, 0));
          return new Float32Array(counts.at(-1)!);
        },
      });
      const ask = (count: number) =>
        batcher.ask(
          images(...new Array(count).fill(1)),
          { team: "a", purpose: "train" },
          new AbortController().signal,
        );
      // Seven images every 10 ms make the pace known.
      for (let i = 0; i < 300; i++) {
        void ask(7);
        await vi.advanceTimersByTimeAsync(10);
      }
      await vi.advanceTimersByTimeAsync(50);
      counts.length = 0;
      const early = ask(1);
      await vi.advanceTimersByTimeAsync(5);
      expect(counts).toEqual([]);
      await Promise.all([early, ask(7)]);
      expect(counts).toEqual([8]);
      // If nobody comes, it does not wait for long.
      const alone = ask(1);
      await vi.advanceTimersByTimeAsync(50);
      await alone;
      expect(counts).toEqual([8, 1]);
    } finally {
      vi.useRealTimers();
    }
  });
});
