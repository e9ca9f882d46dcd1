import { createHash } from "node:crypto";
import { draws, permutation, philox4x32 } from "@funmatch/views";
import { describe, expect, test } from "vitest";

describe("Philox4x32-10", () => {
  // Random123's tests/kat_vectors, the lines "philox4x32 10": counter, key, expected.
  const published = [
    "00000000 00000000 00000000 00000000 00000000 00000000 6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    "ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff 408f276d 41c83b0e a20bc7c6 6d5451fd",
    "243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0 d16cfe09 94fdcceb 5001e420 24126ea1",
  ];
  test.each(published)("known answer %s", (line) => {
    const words = line.split(" ").map((word) => Number.parseInt(word, 16));
    const out = new Uint32Array(4);
    philox4x32(Uint32Array.from(words.slice(0, 4)), words[4]!, words[5]!, out);
    expect([...out]).toEqual(words.slice(6));
  });
});

describe("a stream", () => {
  test("is Philox keyed by SHA-256 of its name, counting blocks from 0", () => {
    const hash = createHash("sha256").update('[7,"view",3,12]').digest();
    const [key0, key1, high0, high1] = [0, 4, 8, 12].map((at) => hash.readUInt32LE(at)) as [
      number,
      number,
      number,
      number,
    ];
    const expected = [0, 1].flatMap((block) => {
      const out = new Uint32Array(4);
      philox4x32(Uint32Array.of(block, 0, high0, high1), key0, key1, out);
      return [...out];
    });
    const stream = draws(7, "view", 3, 12);
    expect(Array.from({ length: 8 }, () => stream.uint32())).toEqual(expected);
  });

  test("does not change from version to version", () => {
    const stream = draws(0, "order", 0);
    expect([stream.uint32(), stream.uint32()]).toEqual([463117863, 3397906864]);
  });

  test("depends on every part of its name", () => {
    const names: [number, ...(string | number)[]][] = [
      [0, "view", 1, 2],
      [1, "view", 1, 2],
      [0, "order", 1, 2],
      [0, "view", 12],
      [0, "view", 2, 1],
      [0, "view", "1", 2],
    ];
    expect(new Set(names.map((name) => draws(...name).uint32())).size).toBe(names.length);
  });

  test("takes whole numbers only", () => {
    expect(() => draws(0.5, "view")).toThrow(RangeError);
    expect(() => draws(0, "view", Number.NaN)).toThrow(RangeError);
  });
});

describe("numbers of a stream", () => {
  const COUNT = 100_000;

  test("uniform: in [0, 1), mean 1/2, variance 1/12", () => {
    const d = draws(1, "uniform");
    const values = Array.from({ length: COUNT }, () => d.uniform());
    expect(Math.min(...values.slice(0, 10_000))).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values.slice(0, 10_000))).toBeLessThan(1);
    expect(mean(values)).toBeCloseTo(0.5, 2);
    expect(mean(values.map((v) => (v - 0.5) ** 2))).toBeCloseTo(1 / 12, 2);
  });

  test("normal: mean 0, variance 1, fourth moment 3", () => {
    const d = draws(1, "normal");
    const values = Array.from({ length: COUNT }, () => d.normal());
    expect(Math.abs(mean(values))).toBeLessThan(0.015);
    expect(mean(values.map((v) => v ** 2))).toBeCloseTo(1, 1);
    expect(Math.abs(mean(values.map((v) => v ** 4)) - 3)).toBeLessThan(0.15);
  });

  test("below(n): every value equally often (chi-squared, 6 degrees of freedom)", () => {
    const d = draws(1, "below");
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < COUNT; i++) counts[d.below(7)]!++;
    const expected = COUNT / 7;
    const chiSquared = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(chiSquared).toBeLessThan(22.5); // exceeded once in a thousand
  });

  test("below(n) has no bias where n does not divide 2^32", () => {
    // Taking words modulo 3 * 2^30 would give the first third half of all draws.
    const d = draws(1, "large");
    const n = 3 * 2 ** 30;
    const low = Array.from({ length: COUNT }, () => d.below(n)).filter((v) => v < n / 3).length;
    expect(low / COUNT).toBeCloseTo(1 / 3, 2);
    expect(() => d.below(0)).toThrow(RangeError);
  });

  test("permutation: each number once, each position equally likely", () => {
    expect([...permutation(draws(2, "p"), 1000)].sort((a, b) => a - b)).toEqual([...Array(1000).keys()]);
    const orders = new Map<string, number>();
    const d = draws(2, "orders");
    for (let i = 0; i < 24_000; i++) {
      const order = permutation(d, 4).join("");
      orders.set(order, (orders.get(order) ?? 0) + 1);
    }
    const chiSquared = [...orders.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(orders.size).toBe(24);
    expect(chiSquared).toBeLessThan(49.7); // 23 degrees of freedom, once in a thousand
  });
});

function mean(values: number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
