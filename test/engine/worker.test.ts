import { monitorEventLoopDelay } from "node:perf_hooks";
import { CaptureError, type EngineWorker, spawnEngineWorker } from "@funmatch/engine";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Stepper } from "./stepper.ts";

const module = new URL("./stepper.ts", import.meta.url);
const SIZE = 1 << 20;

describe("an engine worker", () => {
  let worker: EngineWorker<Stepper>;
  beforeAll(async () => {
    worker = await spawnEngineWorker<Stepper>(module, { size: SIZE });
  });
  afterAll(() => worker.terminate());

  test("reads a batch where it lies in shared memory", async () => {
    const batch = new Uint8Array(new SharedArrayBuffer(SIZE + 3), 3);
    batch.fill(2);
    expect(await worker.call("sum", batch)).toEqual({ sum: 2 * SIZE });
    batch.fill(3);
    expect(await worker.call("sum", batch)).toEqual({ sum: 3 * SIZE });
  });

  test("takes an ArrayBuffer over by transfer", async () => {
    const batch = new Uint8Array(SIZE).fill(1);
    const sum = worker.call("sum", batch, [batch.buffer]);
    expect(batch.byteLength).toBe(0);
    expect(await sum).toEqual({ sum: SIZE });
  });

  test("leaves the main thread free while it computes", async () => {
    await worker.call("work", 1);
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const start = performance.now();
    await worker.call("work", 60);
    delay.disable();
    const elapsed = performance.now() - start;
    expect(elapsed).toBeGreaterThan(100);
    expect(delay.percentile(99) / 1e6).toBeLessThan(elapsed / 4);
  });

  test("computes beside other workers in the same process", async () => {
    const others = await Promise.all([1, 2].map(() => spawnEngineWorker<Stepper>(module, { size: SIZE })));
    const batch = new Uint8Array(new SharedArrayBuffer(SIZE)).fill(1);
    const sums = await Promise.all([worker, ...others].map((each) => each.call("sum", batch)));
    expect(sums).toEqual([{ sum: SIZE }, { sum: SIZE }, { sum: SIZE }]);
    await Promise.all(others.map((other) => other.terminate()));
  });

  test("passes errors on by name and goes on", async () => {
    await expect(worker.call("fail", "capture")).rejects.toBeInstanceOf(CaptureError);
    await expect(worker.call("fail", "capture")).rejects.toThrow("no graph");
    await expect(worker.call("fail", "user")).rejects.toMatchObject({
      name: "UserError",
      message: "your file",
      code: "ENOFILE",
    });
    await expect(worker.call("fail", "uncloneable")).rejects.toMatchObject({ name: "DataCloneError" });
    expect(await worker.call("work", 1)).toBeGreaterThan(0);
  });

  test("a payload that no thread can be given rejects its call, and only that", async () => {
    const other = await spawnEngineWorker<Stepper>(module, { size: 8 });
    const call = () => other.call("sum", (() => 1) as never);
    await expect(call()).rejects.toMatchObject({ name: "DataCloneError" });
    expect(await other.call("work", 1)).toBeGreaterThan(0);
    // An answer that were still waited for would now be a rejection that nobody handles.
    await other.terminate();
  });
});

describe("the end of an engine worker", () => {
  test.each([
    ["throw", /lost my head/],
    ["exit", /exit code 3/],
  ] as const)("a crash (%s) rejects all waiting calls", async (how, message) => {
    const worker = await spawnEngineWorker<Stepper>(module, { size: 8 });
    const calls = [worker.call("crash", how), worker.call("work", 1)];
    for (const call of await Promise.allSettled(calls))
      expect(call).toMatchObject({ status: "rejected", reason: { message: expect.stringMatching(message) } });
    await expect(worker.call("work", 1)).rejects.toThrow(message);
    expect((await worker.ended).message).toMatch(message);
    await worker.terminate();
  });

  test("terminate waits for the thread and rejects what is under way", async () => {
    const worker = await spawnEngineWorker<Stepper>(module, { size: 8 });
    const call = worker.call("work", 1000);
    const rejected = expect(call).rejects.toThrow("terminated");
    await worker.terminate();
    await rejected;
  });

  test("a module that cannot start says why", async () => {
    await expect(spawnEngineWorker(new URL("./capture.test.ts", import.meta.url), {})).rejects.toThrow();
    await expect(spawnEngineWorker(module, { size: -1 })).rejects.toThrow();
  });
});
