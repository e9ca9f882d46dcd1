import { draws } from "@funmatch/views";
import { describe, expect, test } from "vitest";
import { bijection } from "../../student-trainer/data/bijection.ts";

const orderOf = (name: number, size: number) => bijection(draws(5, "order", name), size);

/** How far counts are from being equal: chi-square less its degrees of freedom, in standard deviations of it. */
function surprise(counts: number[], expected: number): number {
  const freedom = counts.length - 1;
  const chi2 = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  return (chi2 - freedom) / Math.sqrt(2 * freedom);
}

/** Counts how often each of `cells` is met. */
function counted(cells: number, tries: number, cell: (nth: number) => number): number[] {
  const counts = new Array<number>(cells).fill(0);
  for (let nth = 0; nth < tries; nth++) counts[cell(nth)]!++;
  return counts;
}

test.each([1, 2, 3, 4, 5, 64, 65, 1000, 1_000_000])("each of %i numbers once", (size) => {
  const met = new Uint8Array(size);
  const at = orderOf(1, size);
  for (let position = 0; position < size; position++) met[at(position)]!++;
  expect(met.every((times) => times === 1)).toBe(true);
});

test("up to 2^32 numbers, in and out of range", () => {
  const at = orderOf(2, 2 ** 32);
  const numbers = Array.from({ length: 1000 }, (_, i) => at(2 ** 32 - 1 - i));
  expect(new Set(numbers).size).toBe(1000);
  expect(numbers.every((number) => number >= 0 && number < 2 ** 32)).toBe(true);
  expect(Math.max(...numbers)).toBeGreaterThan(2 ** 31);
  for (const size of [0, 1.5, 2 ** 32 + 1]) expect(() => orderOf(2, size)).toThrow("1 to 2^32 numbers");
});

describe("looks random", () => {
  const TRIES = 20_000;

  test.each([2, 3, 4])("all orders of %i are equally likely", (size) => {
    const orders = new Map<string, number>();
    for (let nth = 0; nth < TRIES; nth++) {
      const at = orderOf(nth, size);
      const order = Array.from({ length: size }, (_, i) => at(i)).join();
      orders.set(order, (orders.get(order) ?? 0) + 1);
    }
    const factorial = [1, 1, 2, 6, 24][size]!;
    expect(orders.size).toBe(factorial);
    expect(surprise([...orders.values()], TRIES / factorial)).toBeLessThan(4);
  });

  test.each([5, 7, 12, 64, 100, 1000])("of %i every number is equally likely at a position", (size) => {
    for (const position of [0, 1, size >> 1, size - 1])
      expect(
        surprise(
          counted(size, TRIES, (nth) => orderOf(nth, size)(position)),
          TRIES / size,
        ),
      ).toBeLessThan(4);
  });

  test.each([5, 8, 13, 33, 64])(
    "of %i every pair of numbers is equally likely to follow each other",
    (size) => {
      const pairs = counted(size * (size - 1), TRIES, (nth) => {
        const at = orderOf(nth, size);
        const [first, second] = [at(nth % (size - 1)), at((nth % (size - 1)) + 1)];
        return first * (size - 1) + (second > first ? second - 1 : second);
      });
      expect(surprise(pairs, TRIES / (size * (size - 1)))).toBeLessThan(4);
    },
  );

  test.each([64, 100])("in successive epochs of %i a number's places are independent", (size) => {
    const cells = counted(64, TRIES, (nth) => {
      const place = (epoch: number) => Math.floor((8 * orderOf(epoch, size)(0)) / size);
      return 8 * place(nth) + place(nth + 1);
    });
    const expected = Array.from(
      { length: 8 },
      (_, eighth) => Math.ceil(((eighth + 1) * size) / 8) - Math.ceil((eighth * size) / 8),
    ).map((count) => count / size);
    const chi2 = cells.reduce((sum, count, cell) => {
      const mean = TRIES * expected[cell >> 3]! * expected[cell & 7]!;
      return sum + (count - mean) ** 2 / mean;
    }, 0);
    expect((chi2 - 63) / Math.sqrt(2 * 63)).toBeLessThan(4);
  });

  test("neighbours of a million are spread over all of it", () => {
    const size = 1_000_000;
    const at = orderOf(3, size);
    const steps = counted(100, TRIES, (i) => Math.floor((100 * ((at(i + 1) - at(i) + size) % size)) / size));
    expect(surprise(steps, TRIES / 100)).toBeLessThan(4);
  });
});
