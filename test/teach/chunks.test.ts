import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { chunksOf } from "../../student-trainer/data/layers.ts";
import { askPieces, largestChunk } from "../../student-trainer/teach/chunks.ts";
import type { Call, SentViews } from "../../student-trainer/teach/client.ts";
import { openTeacher } from "../../student-trainer/teach/client.ts";
import { teachOnline } from "../../student-trainer/teach/online.ts";
import { someBatch, someViews } from "./batches.ts";
import { KEY, OTHER_VERSION, smallLogits, smallTeacher, VERSION } from "./small-teacher.ts";

test("a batch asked for in chunks gives the logits that it gives whole, in order", async () => {
  const service = await smallTeacher({ behave: async () => void (await sleep(Math.random() * 20)) });
  const teacher = await openTeacher({ url: service.url, key: KEY });
  const batch = await someBatch(3, 11, 4);
  const { logits, version, verified } = await teachOnline(teacher, 0)(batch, new AbortController().signal);
  expect(logits).toEqual(smallLogits(new Uint8Array(batch.views.data), 11, 5));
  expect({ version, verified }).toEqual({ version: VERSION, verified: true });
  expect(service.calls.map(({ head }) => head.shape[0]).sort()).toEqual([3, 4, 4]);
  expect(new Set(service.calls.map(({ requestId }) => requestId)).size).toBe(3);
  await teacher.close();
  await service.close();
});

const call: Call = { purpose: "train", requestId: "r" };
const answer = (version: string, n: number) => ({
  logits: new Float32Array(n * 2),
  version,
  cache: "none" as const,
});

test("one bad chunk fails the batch and ends the others", async () => {
  const views = await someViews(4);
  let ended = 0;
  const ask = async (piece: SentViews, { signal }: Call) => {
    if (piece.data[0] === views.data[48]) throw new Error("second chunk is bad");
    await sleep(10_000, undefined, { signal }).catch(() => ended++);
    return answer(VERSION, 1);
  };
  await expect(askPieces(ask, views, chunksOf(views, 1), call)).rejects.toThrow("second chunk is bad");
  await sleep(1);
  expect(ended).toBe(3);
});

test("chunks of two versions are no answer", async () => {
  const views = await someViews(4);
  let version = VERSION;
  const ask = async (piece: SentViews) => {
    const one = answer(version, piece.shape[0]);
    version = OTHER_VERSION;
    return one;
  };
  await expect(askPieces(ask, views, chunksOf(views, 2), call)).rejects.toMatchObject({ fault: "version" });
});

test("the largest chunk fits both limits of the service", () => {
  const limits = { maxImages: 100, maxBodyBytes: 10_512, timeoutMs: 1 };
  expect(largestChunk(limits, 1000)).toBe(10);
  expect(largestChunk(limits, 10)).toBe(100);
  expect(() => largestChunk(limits, 20_000)).toThrow(/lower student.resolution/);
});
