import type { Purpose } from "@funmatch/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openQueue } from "../../teacher-service/queue/queue.ts";

interface Item {
  name: string;
  images: number;
  purpose: Purpose;
  team: string;
}
const item = (name: string, images: number, o: { purpose?: Purpose; team?: string } = {}): Item => ({
  name,
  images,
  purpose: "train",
  team: "a",
  ...o,
});
const open = (weights: Record<string, number> = {}, burst = 16) =>
  openQueue<Item>({ weightOf: (team) => weights[team] ?? 1, burst });
const queueOf = (...items: Item[]) => {
  const queue = open();
  for (const each of items) queue.add(each);
  return queue;
};
const told = (slices: { item: Item; from: number; count: number }[]) =>
  slices.map(({ item, from, count }) => `${item.name}[${from}..${from + count}]`);
const imagesOf = (team: string, slices: { item: Item; count: number }[]) =>
  slices.reduce((sum, { item, count }) => sum + (item.team === team ? count : 0), 0);

describe("who is next", () => {
  test("first come, first served; what does not fit keeps its place", () => {
    const queue = queueOf(item("a", 5), item("b", 5), item("c", 5));
    expect(queue.images).toBe(15);
    expect(told(queue.take(8))).toEqual(["a[0..5]", "b[0..3]"]);
    expect(told(queue.take(8))).toEqual(["b[3..5]", "c[0..5]"]);
    expect(queue.requests).toBe(0);
  });

  test("training goes before evaluation, also before the rest of a large one", () => {
    const queue = queueOf(item("evaluation", 6, { purpose: "eval" }));
    expect(told(queue.take(4))).toEqual(["evaluation[0..4]"]);
    queue.add(item("training", 2));
    expect(told(queue.take(4))).toEqual(["training[0..2]", "evaluation[4..6]"]);
  });

  test("evaluation gets an image in ten while training never ends", () => {
    const queue = queueOf(item("evaluation", 10, { purpose: "eval" }));
    let computed = 0;
    while (queue.images > 0 && computed < 1000) {
      queue.add(item("training", 8));
      const slices = queue.take(8);
      computed += 8;
      if (!slices.some((slice) => slice.item.purpose === "eval")) continue;
      if (queue.requests > 0 && slices.at(-1)!.from === 9) break;
    }
    expect(computed).toBeGreaterThanOrEqual(96);
    expect(computed).toBeLessThanOrEqual(104);
  });

  test("who gives up is out, in part or in whole", () => {
    const a = item("a", 6);
    const b = item("b", 2);
    const queue = queueOf(a, b);
    queue.take(4);
    expect(queue.remove(a)).toBe(true);
    expect(queue.remove(a)).toBe(false);
    expect(queue.images).toBe(2);
    expect(told(queue.take(8))).toEqual(["b[0..2]"]);
  });
});

describe("teams", () => {
  test("a team that asks after a pause goes first, in the pass that others fill", () => {
    const queue = queueOf(item("flood", 1000));
    queue.take(16);
    queue.add(item("victim", 6, { team: "v" }));
    expect(told(queue.take(8))).toEqual(["victim[0..6]", "flood[16..18]"]);
  });

  test("nobody gets more than a share by asking in bursts", () => {
    const queue = queueOf(item("flood", 100_000));
    const got = { a: 0, v: 0 };
    for (let pass = 0; pass < 500; pass++) {
      // Asks for a whole pass whenever nothing of its own waits.
      if (queue.requests < 2) queue.add(item("burst", 16, { team: "v" }));
      const slices = queue.take(16);
      got.a += imagesOf("a", slices);
      got.v += imagesOf("v", slices);
    }
    expect(got.v / (got.a + got.v)).toBeGreaterThan(0.4);
    expect(got.v / (got.a + got.v)).toBeLessThan(0.51);
  });

  test("whoever does not use a share leaves it to the others", () => {
    const queue = queueOf(item("a", 100), item("b", 3, { team: "b" }));
    const slices = queue.take(50);
    expect(imagesOf("b", slices)).toBe(3);
    expect(imagesOf("a", slices)).toBe(47);
  });

  test("shares come to the weights, whatever sizes are asked for and taken", () => {
    const weight = fc.double({ min: 0.05, max: 20, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(weight, { minLength: 2, maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 6, maxLength: 6 }),
        fc.integer({ min: 1, max: 64 }),
        (weights, sizes, passSize) => {
          const named = Object.fromEntries(weights.map((each, i) => [`t${i}`, each]));
          const queue = open(named, 32);
          const total = 20_000;
          for (const [i, team] of Object.keys(named).entries())
            for (let images = 0; images < total; images += sizes[i]!)
              queue.add(item("", sizes[i]!, { team }));
          const got = new Map<string, number>();
          for (let computed = 0; computed < total; computed += passSize)
            for (const { item, count } of queue.take(passSize))
              got.set(item.team, (got.get(item.team) ?? 0) + count);
          const sum = weights.reduce((a, b) => a + b);
          for (const [team, each] of Object.entries(named))
            expect(Math.abs((got.get(team) ?? 0) - (total * each) / sum)).toBeLessThan(32 * 20 + 64);
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe("whatever happens", () => {
  test("no image is lost or doubled, and each team's requests keep their order", () => {
    const action = fc.oneof(
      fc.record({
        add: fc.integer({ min: 1, max: 50 }),
        team: fc.constantFrom("a", "b", "c"),
        purpose: fc.constantFrom<Purpose>("train", "eval"),
      }),
      fc.record({ take: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ remove: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const queue = open({ a: 1, b: 3, c: 0.1 });
        /** Those that wait, in order, and how much of each was taken: what a plain list would hold. */
        const waiting = new Map<Item, number>();
        const take = (count: number) => {
          const slices = queue.take(count);
          const before = [...waiting].reduce((sum, [{ images }, taken]) => sum + images - taken, 0);
          expect(slices.reduce((sum, slice) => sum + slice.count, 0)).toBe(Math.min(count, before));
          for (const { item, from, count } of slices) {
            expect(from).toBe(waiting.get(item));
            const first = [...waiting.keys()].find(
              (each) => each.team === item.team && each.purpose === item.purpose,
            );
            expect(item).toBe(first);
            if (from + count === item.images) waiting.delete(item);
            else waiting.set(item, from + count);
          }
        };
        for (const each of actions) {
          if ("add" in each) {
            const added = item("", each.add, each);
            queue.add(added);
            waiting.set(added, 0);
          } else if ("take" in each) take(each.take);
          else {
            const gone = [...waiting.keys()][each.remove % Math.max(1, waiting.size)];
            if (gone) expect(queue.remove(gone)).toBe(waiting.delete(gone));
          }
          expect(queue.requests).toBe(waiting.size);
        }
        while (queue.images > 0) take(7);
        expect(waiting.size).toBe(0);
      }),
    );
  });

  test("an operation takes as long with a hundred thousand requests as with a thousand", () => {
    const perRequest = (count: number) => {
      const queue = open();
      const items = Array.from({ length: count }, (_, i) => item("", 2, { team: `t${i % 50}` }));
      const started = performance.now();
      for (const each of items) queue.add(each);
      for (const each of items.filter((_, i) => i % 2 === 0)) queue.remove(each);
      while (queue.requests > 0) queue.take(8);
      return (performance.now() - started) / count;
    };
    perRequest(1000);
    const few = Math.min(...[1, 2, 3, 4, 5].map(() => perRequest(1000)));
    // A quadratic queue would need a hundred times as long.
    expect(perRequest(100_000)).toBeLessThan(20 * few);
  });
});
