import { WireError } from "@funmatch/wire";
import { describe, expect, test } from "vitest";
import { chooseSize, type Images, openBatcher, type Pass } from "../../teacher-service/batch.ts";
import { openRoom } from "../../teacher-service/room.ts";

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
function manual() {
  const passes: Pass[] = [];
  const waiting: (() => void)[] = [];
  const batcher = openBatcher({
    sizes: SIZES,
    classes: 2,
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
  const ask = (...values: number[]) =>
    batcher
      .ask(images(...values), "uint8", "train", new AbortController().signal)
      .then((answer) => [...answer.logits]);
  return { batcher, passes, next, ask };
}

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

  test("a request larger than any pass is answered whole, in order", async () => {
    const { ask, next, passes } = manual();
    const answer = ask(...Array.from({ length: 20 }, (_, i) => i));
    for (let i = 0; i < 4; i++) await next();
    expect(await answer).toEqual(Array.from({ length: 20 }, (_, i) => [i, 2 * i]).flat());
    expect(passes.map((pass) => pass.size)).toEqual([8, 8, 8]);
  });

  test("whoever gives up leaves without being computed, and gets the reason", async () => {
    const { ask, batcher, next, passes } = manual();
    const first = ask(1);
    const gone = new AbortController();
    const second = batcher.ask(images(2), "uint8", "train", gone.signal);
    expect(batcher.waitingRequests).toBe(1);
    gone.abort(new WireError("deadline_exceeded", "too late"));
    await expect(second).rejects.toThrow("too late");
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

  test("the size is the one that answers the most images a second", () => {
    expect(chooseSize(SIZES, 1)).toBe(1);
    expect(chooseSize(SIZES, 3)).toBe(8);
    expect(chooseSize([...SIZES, { images: 64, seconds: 0.3 }], 9)).toBe(8);
    expect(chooseSize([...SIZES, { images: 64, seconds: 0.3 }], 63)).toBe(64);
  });

  test("time to the end of the line is told from the throughput", async () => {
    const { ask, batcher, next } = manual();
    expect(batcher.backlogSeconds()).toBe(0);
    const answers = [ask(1), ask(...new Array(20).fill(2))];
    expect(batcher.backlogSeconds()).toBeCloseTo(21 / 200);
    for (let i = 0; i < 5; i++) await next();
    await Promise.all(answers);
    expect(batcher.backlogSeconds()).toBe(0);
  });
});

describe("room for bodies", () => {
  test("is refused with a time to come back, and is given back once", () => {
    const room = openRoom(100);
    const release = room.reserve(70, () => 0);
    expect(() => room.reserve(40, () => 2.3)).toThrow(
      expect.objectContaining({ code: "overloaded", status: 429, retryAfterSeconds: 2.3 }),
    );
    release();
    release();
    expect(room.heldBytes).toBe(0);
    room.reserve(100, () => 0);
  });
});
