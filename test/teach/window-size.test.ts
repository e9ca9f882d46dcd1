import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { lessons } from "../../student-trainer/teach/window.ts";
import { windowSize } from "../../student-trainer/teach/window-size.ts";
import { someBatch } from "./batches.ts";

const KB = 1000;

function sizeAfter(o: { batchBytes: number; ways: number[]; studentSeconds: number }): number {
  const size = windowSize(o);
  for (const waySeconds of o.ways) size.saw({ waySeconds, studentSeconds: o.studentSeconds });
  return size.now();
}

describe("the window", () => {
  test("is as large as is said, or 8 while nothing is known", () => {
    const said = windowSize({ inFlight: 3, batchBytes: KB });
    for (let i = 0; i < 20; i++) said.saw({ waySeconds: 10, studentSeconds: 0.01 });
    expect(said.now()).toBe(3);
    expect(windowSize({ batchBytes: KB }).now()).toBe(8);
  });

  test("holds what the student takes while a batch is on its way, and half as much to spare", () => {
    const ways = Array.from({ length: 10 }, () => 1 / 8);
    expect(sizeAfter({ batchBytes: KB, ways, studentSeconds: 1 / 4 })).toBe(8);
    expect(sizeAfter({ batchBytes: KB, ways, studentSeconds: 1 / 128 })).toBe(1.5 * 16 + 1);
    expect(sizeAfter({ batchBytes: KB, ways, studentSeconds: 0.001 })).toBe(64);
  });

  test("does not grow for a teacher's queue: the shortest way had none", () => {
    const queue = Array.from({ length: 30 }, (_, i) => 0.02 + i * 0.1);
    expect(sizeAfter({ batchBytes: KB, ways: queue, studentSeconds: 0.01 })).toBe(8);
  });

  test("does not grow for a long first step, as of TensorFlow", () => {
    const size = windowSize({ batchBytes: KB });
    const short = 1 / 128;
    for (const studentSeconds of [5, short, short, short]) size.saw({ waySeconds: 1 / 8, studentSeconds });
    expect(size.now()).toBe(1.5 * 16 + 1);
  });

  test("keeps views within 256 MiB, but never under what it always held", () => {
    const ways = Array.from({ length: 10 }, () => 1);
    expect(sizeAfter({ batchBytes: 16 * 2 ** 20, ways, studentSeconds: 0.01 })).toBe(16);
    expect(sizeAfter({ batchBytes: 64 * 2 ** 20, ways, studentSeconds: 0.01 })).toBe(8);
  });
});

test("a student of short steps does not stand idle behind a long way", { timeout: 20_000 }, async () => {
  const [way, step, steps] = [120, 8, 150];
  const teach = async ({ step }: { step: number }) => {
    await sleep(way);
    return [{ logits: new Float32Array([step]), version: "v", verified: true }];
  };
  const waited = async (inFlight: number | undefined) => {
    const size = windowSize({ inFlight, batchBytes: KB });
    const batchOf = (step: number) => someBatch(step, 2);
    let seconds = 0;
    for await (const lesson of lessons({ from: 0, to: steps, inFlight: size, batchOf, teach })) {
      await sleep(step);
      if (lesson.batch.step >= steps / 2) seconds += lesson.waitedSeconds;
    }
    return seconds;
  };
  // Of 8 steps in 120 ms each stands 7 ms idle; with a window that has grown none does.
  expect(await waited(8)).toBeGreaterThan(0.2);
  expect(await waited(undefined)).toBeLessThan(0.1);
});
