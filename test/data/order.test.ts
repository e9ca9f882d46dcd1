import { expect, test } from "vitest";
import { examplesOf, orderOf } from "../../student-trainer/data/order.ts";

test("every image once an epoch, across epoch borders, whatever the batch size", () => {
  const size = 23;
  for (const batch of [1, 5, 23, 60]) {
    const steps = Math.ceil((4 * size) / batch);
    const row = Array.from({ length: steps }, (_, i) => examplesOf(9, i + 1, batch, size)).flat();
    for (let epoch = 0; epoch < 4; epoch++) {
      const used = row.slice(epoch * size, (epoch + 1) * size);
      expect(used.every((example) => example.epoch === epoch)).toBe(true);
      expect(used.map(({ index }) => index).sort((a, b) => a - b)).toEqual([...Array(size).keys()]);
    }
  }
});

test("the row of examples does not depend on the batch size", () => {
  const rowOf = (batch: number) =>
    Array.from({ length: 60 / batch }, (_, i) => examplesOf(1, i + 1, batch, 17)).flat();
  expect(rowOf(12)).toEqual(rowOf(5));
});

test("epochs and seeds have orders of their own; steps can be asked for in any order", () => {
  const orders = [orderOf(1, 0, 100), orderOf(1, 1, 100), orderOf(2, 0, 100)].map((order) =>
    String(Array.from({ length: 100 }, (_, position) => order(position))),
  );
  expect(new Set(orders).size).toBe(3);
  const late = examplesOf(1, 40, 10, 100);
  for (let step = 1; step <= 200; step++) examplesOf(1, step, 10, 100);
  expect(examplesOf(1, 40, 10, 100)).toEqual(late);
});

test("there is no step 0", () => expect(() => examplesOf(1, 0, 10, 100)).toThrow("count from 1"));

test("a step far into a long run over much data costs no more than the first", () => {
  const size = 4_000_000_000;
  const late = examplesOf(1, 2 ** 40, 512, size);
  expect(late).toHaveLength(512);
  expect(late[0]!.epoch).toBe(Math.floor(((2 ** 40 - 1) * 512) / size));
  expect(late.every(({ index }) => index >= 0 && index < size)).toBe(true);
});
