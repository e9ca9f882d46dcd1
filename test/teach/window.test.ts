import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { type Lesson, lessons } from "../../student-trainer/teach/window.ts";
import { someBatch } from "./batches.ts";

const taught = (step: number) => [{ logits: new Float32Array([step]), version: "v", verified: true }];
const batchOf = (step: number) => someBatch(step, 2);

async function steps(from: AsyncIterable<Lesson>): Promise<number[]> {
  const seen: number[] = [];
  for await (const { batch, taught } of from) {
    expect(taught[0]?.logits[0]).toBe(batch.step);
    seen.push(batch.step);
  }
  return seen;
}

test("lessons come in step order, however late their answers are", async () => {
  const teach = async ({ step }: { step: number }) => {
    await sleep(Math.random() * 20);
    return taught(step);
  };
  const seen = await steps(lessons({ from: 5, to: 45, inFlight: 7, batchOf, teach }));
  expect(seen).toEqual(Array.from({ length: 40 }, (_, i) => 5 + i));
});

test("no more than inFlight steps are under way beside the one being learned", async () => {
  let started = 0;
  const teach = async ({ step }: { step: number }) => taught(step);
  const counted = (step: number) => {
    started++;
    return batchOf(step);
  };
  for await (const { batch } of lessons({ from: 0, to: 20, inFlight: 3, batchOf: counted, teach })) {
    await sleep(2);
    expect(started).toBe(Math.min(20, batch.step + 1 + 3));
  }
});

test("a bad answer stops the run before its step, and ends the requests behind it", async () => {
  const ended: number[] = [];
  const teach = async ({ step }: { step: number }, signal: AbortSignal) => {
    if (step > 6) await sleep(10_000, undefined, { signal }).catch(() => ended.push(step));
    await sleep(step === 6 ? 60 : 5);
    if (step === 6) throw new Error("step 6 is bad");
    return taught(step);
  };
  const seen: number[] = [];
  const learn = async () => {
    for await (const { batch } of lessons({ from: 0, to: 99, inFlight: 4, batchOf, teach }))
      seen.push(batch.step);
  };
  await expect(learn()).rejects.toThrow("step 6 is bad");
  expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
  await sleep(1);
  expect(ended).toEqual([7, 8, 9]);
});

test("stopping early ends what is in flight", async () => {
  const ended: number[] = [];
  const teach = async ({ step }: { step: number }, signal: AbortSignal) => {
    if (step > 0) await sleep(10_000, undefined, { signal }).catch(() => ended.push(step));
    return taught(step);
  };
  for await (const { batch } of lessons({ from: 0, to: 99, inFlight: 2, batchOf, teach }))
    if (batch.step === 0) {
      await sleep(5); // let the next two be asked
      break;
    }
  await sleep(1);
  expect(ended).toEqual([1, 2]);
});

test("the caller's signal ends it with its reason, even where a batch never comes", async () => {
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error("enough")), 20);
  const never = () => new Promise<never>(() => {});
  await expect(
    steps(lessons({ from: 0, to: 9, inFlight: 2, batchOf: never, signal: stop.signal })),
  ).rejects.toThrow("enough");
});

test("waiting is the time that only the teacher took, not that of views or of the student", async () => {
  const slow = async (views: number, teacher: number, student: number) => {
    const waited: number[] = [];
    const made = async (step: number) => {
      await sleep(views);
      return batchOf(step);
    };
    const teach = async ({ step }: { step: number }) => {
      await sleep(teacher);
      return taught(step);
    };
    for await (const { waitedSeconds } of lessons({ from: 0, to: 3, inFlight: 1, batchOf: made, teach })) {
      waited.push(waitedSeconds * 1000);
      await sleep(student);
    }
    return waited[2] as number;
  };
  expect(await slow(100, 1, 0)).toBeLessThan(40); // views are late
  expect(await slow(1, 100, 0)).toBeGreaterThan(60); // the teacher is late
  expect(await slow(1, 50, 100)).toBeLessThan(40); // the student is busy meanwhile
});

test("where labels teach there are no logits and nothing to wait for", async () => {
  for await (const lesson of lessons({ from: 0, to: 2, inFlight: 2, batchOf }))
    expect(lesson).toMatchObject({ taught: [], waitedSeconds: 0 });
});

test("a lesson that was learned leaves nothing behind, however long the run", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const learned: WeakRef<Lesson["batch"]>[] = [];
  const teach = async ({ step }: { step: number }) => taught(step);
  const { signal } = new AbortController();
  const all = lessons({ from: 0, to: 200, inFlight: 4, batchOf, teach, signal });
  while (learned.length < 100) {
    const { value } = await all.next();
    if (value) learned.push(new WeakRef((value as Lesson).batch));
  }
  await sleep(10);
  collect();
  expect(learned.filter((batch) => batch.deref()).length).toBeLessThan(5);
  await all.return(undefined);
});
