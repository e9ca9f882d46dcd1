import type { Purpose } from "@funmatch/wire";
import { describe, expect, test } from "vitest";
import { openQueue } from "../../teacher-service/queue.ts";

const item = (name: string, images: number, purpose: Purpose = "train", group = "uint8") => ({
  name,
  images,
  purpose,
  group,
});
const queueOf = (...items: ReturnType<typeof item>[]) => {
  const queue = openQueue<ReturnType<typeof item>>();
  for (const each of items) queue.add(each);
  return queue;
};
const told = (slices: { item: { name: string }; from: number; count: number }[]) =>
  slices.map(({ item, from, count }) => `${item.name}[${from}..${from + count}]`);

describe("who is next", () => {
  test("first come, first served; what does not fit keeps its place", () => {
    const queue = queueOf(item("a", 5), item("b", 5), item("c", 5));
    expect(queue.ready()).toBe(15);
    expect(told(queue.take(8))).toEqual(["a[0..5]", "b[0..3]"]);
    expect(told(queue.take(8))).toEqual(["b[3..5]", "c[0..5]"]);
    expect(queue.requests).toBe(0);
  });

  test("training goes before evaluation, also before the rest of a large one", () => {
    const queue = queueOf(item("evaluation", 6, "eval"));
    expect(told(queue.take(4))).toEqual(["evaluation[0..4]"]);
    queue.add(item("training", 2));
    expect(told(queue.take(4))).toEqual(["training[0..2]", "evaluation[4..6]"]);
  });

  test("only one group goes into a pass, that of the first in line", () => {
    const queue = queueOf(item("a", 2), item("f", 2, "train", "float32"), item("b", 2));
    expect(queue.ready()).toBe(4);
    expect(told(queue.take(8))).toEqual(["a[0..2]", "b[0..2]"]);
    expect(told(queue.take(8))).toEqual(["f[0..2]"]);
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
