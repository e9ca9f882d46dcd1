import { describe, expect, test } from "vitest";
import { seriesRows } from "../../bench/scale/series.ts";
import { scale } from "../../bench/scale.ts";

const words = { what: "step", each: "image", unit: "ms", whole: "a step, ms" } as const;

describe("a series of bench/scale", () => {
  test("costs the same for each unit where it is linear", () => {
    const points = [1, 4, 16].map((units) => ({ name: `${units}`, units, costs: [3 * units] }));
    const rows = seriesRows(points, words);
    for (const { ours, ratio } of rows) expect([ours, ratio]).toEqual([3, 1]);
    for (const { details } of rows.slice(1))
      expect(details["power by which the whole grew from the size before"]).toBeCloseTo(1);
  });

  test("tells a fixed cost from one that grows faster than its size", () => {
    const at = (cost: (n: number) => number) =>
      seriesRows(
        [1, 10].map((units) => ({ name: `${units}`, units, costs: [cost(units)] })),
        words,
      );
    const [small, large] = at((n) => 90 + n);
    expect([small!.ratio < 0.2, large!.ratio]).toEqual([true, 1]);
    expect(large!.details["power by which the whole grew from the size before"]).toBeLessThan(0.1);
    const [few, many] = at((n) => n ** 2);
    expect([few!.ratio, many!.ratio]).toEqual([1, 0.1]);
    expect(many!.details["power by which the whole grew from the size before"]).toBeCloseTo(2);
  });
});

test("bench/scale: measures every series", async () => {
  const rows = await scale.run({ tiny: true });
  const of = (what: string) => rows.filter(({ name }) => name.startsWith(what));
  for (const [what, sizes] of Object.entries({
    ...{ "step, batch": 2, "step, 32 px": 1, "step, 1000 classes": 1, "answer,": 2 },
    ...{ "index,": 2, "memory of": 2, "peak while": 2, split: 2, "a thread": 2, "order,": 2, views: 2 },
  }))
    expect([what, of(what).length]).toEqual([what, sizes]);
  for (const { ours } of rows.filter(({ name }) => !name.includes("classes, batch 4")))
    expect(ours).toBeGreaterThan(0);
  // The index of a list is as long as its paths, and 8 bytes an image.
  const bytes = "class-00/picture-0000.jpg".length + 8;
  for (const { ours } of of("memory of")) expect(ours).toBeCloseTo((bytes * 1e6) / 2 ** 20, 1);
});
