import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openTeacher, type Teacher } from "../../student-trainer/teach/client.ts";
import { sumProbabilities } from "../../student-trainer/teach/ensemble.ts";
import { fixedLogits, teachFixed } from "../../student-trainer/teach/fixed.ts";
import { someBatch, someEvaluation } from "./batches.ts";
import {
  type Behaviour,
  KEY,
  type SmallTeacher,
  smallLogits,
  smallTeacher,
  VERSION,
} from "./small-teacher.ts";

let directory: string;
let service: SmallTeacher;
let teacher: Teacher;
let behave: (requestId: string) => Behaviour = () => undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "fixed-"));
  service = await smallTeacher({ behave: ({ requestId }) => behave(requestId) });
  teacher = await openTeacher({ url: service.url, key: KEY });
});
afterEach(async () => {
  await teacher.close();
  await service.close();
  await rm(directory, { recursive: true });
});

const fetchAll = (digest = "sha256:data", ensemble = 1) =>
  fixedLogits({
    teacher,
    data: { digest, size: 22 },
    viewsOf: someEvaluation,
    release: () => {},
    view: { kind: ensemble > 1 ? "ic" : "cc", ensemble, resolution: 4, seed: 0 },
    chunk: 4,
    inFlight: 2,
    directory,
  });

const whole = async () => smallLogits(new Uint8Array((await someEvaluation(0, 22)).views.data), 22, 5);

test("every training image is asked for once, past the caches, and kept", async () => {
  expect(await fetchAll()).toEqual(await whole());
  expect(service.calls).toHaveLength(6);
  expect(service.calls[0]?.headers["cache-control"]).toBe("no-store");
  expect(service.calls[0]?.head.purpose).toBe("eval");
  expect(await fetchAll()).toEqual(await whole());
  expect(service.calls).toHaveLength(6);
  expect(await readdir(directory)).toEqual([expect.stringMatching(/^fixed-[0-9a-f]{16}\.npz$/)]);
});

test("other data are asked for anew", async () => {
  await fetchAll();
  await fetchAll("sha256:other");
  expect(service.calls).toHaveLength(12);
});

test("an interrupted fetch goes on where it stopped, one chunk before", async () => {
  behave = (requestId) => (requestId.endsWith("-4") ? { digest: `sha256:${"0".repeat(64)}` } : undefined);
  await expect(fetchAll()).rejects.toMatchObject({ fault: "digest" });
  behave = () => undefined;
  expect(await fetchAll()).toEqual(await whole());
  const sitting = (call?: { requestId: string }) => call?.requestId.replace(/-fixed-\d+$/, "");
  const last = sitting(service.calls.at(-1));
  // Of 6, 4 were kept and the last of them is asked for again.
  expect(service.calls.filter((call) => sitting(call) === last)).toHaveLength(3);
});

/** The mean over `ensemble` views of what the teacher finds likely, in plain words. */
async function meanProbabilities(ensemble: number): Promise<number[]> {
  const logits = smallLogits((await someEvaluation(0, 22 * ensemble)).views.data, 22 * ensemble, 5);
  const mean = new Array<number>(22 * 5).fill(0);
  for (let view = 0; view < 22 * ensemble; view++) {
    const powers = [...logits.subarray(view * 5, view * 5 + 5)].map(Math.exp);
    const total = powers.reduce((a, b) => a + b);
    powers.forEach((power, k) => {
      mean[Math.floor(view / ensemble) * 5 + k]! += power / total / ensemble;
    });
  }
  return mean;
}

test.each([
  // With 4 views a request: 11 requests for two images each; one for each image; three for each.
  { ensemble: 2, requests: 11 },
  { ensemble: 3, requests: 22 },
  { ensemble: 10, requests: 66 },
])("of $ensemble views the mean probabilities are kept, after $requests requests", async (o) => {
  const kept = [...(await fetchAll("sha256:data", o.ensemble))];
  expect(service.calls).toHaveLength(o.requests);
  expect(service.calls.every(({ head }) => head.shape[0] <= 4)).toBe(true);
  const expected = await meanProbabilities(o.ensemble);
  kept.forEach((logProbability, i) => {
    expect(Math.exp(logProbability)).toBeCloseTo(expected[i]!, 6);
  });
  expect([...(await fetchAll("sha256:data", o.ensemble))]).toEqual(kept);
  expect(service.calls).toHaveLength(o.requests);
});

test("an interrupted ensemble goes on at an image, and comes to the same", async () => {
  const undisturbed = await fetchAll("sha256:other", 10);
  behave = (requestId) => (requestId.endsWith("-9.1") ? { digest: `sha256:${"0".repeat(64)}` } : undefined);
  await expect(fetchAll("sha256:data", 10)).rejects.toMatchObject({ fault: "digest" });
  behave = () => undefined;
  expect(await fetchAll("sha256:data", 10)).toEqual(undisturbed);
  // Of this sitting: what the one before had under way may be heard late.
  const sitting = (call?: { requestId: string }) => call?.requestId.replace(/-fixed-[\d.]+$/, "");
  const last = sitting(service.calls.at(-1));
  expect(service.calls.filter((call) => sitting(call) === last)).toHaveLength(3 * (22 - 8)); // 9 were kept and the last of them is asked for again
});

test("what no view finds likely at all stays finite", () => {
  const sum = sumProbabilities(1, 2, 2);
  sum.add(Float32Array.of(0, 2000, 0, 2000));
  expect(sum.logMean()[0]).toBeLessThan(-700);
  expect([...sum.logMean()].every(Number.isFinite)).toBe(true);
});

test("a batch is taught by the rows of its images", async () => {
  const table = Float32Array.from({ length: 12 }, (_, i) => i);
  const batch = { ...(await someBatch(0, 3)), indices: Int32Array.of(5, 0, 2) };
  const { logits, version, verified } = await teachFixed(table, 2, VERSION)(batch);
  expect([...logits]).toEqual([10, 11, 0, 1, 4, 5]);
  expect({ version, verified }).toEqual({ version: VERSION, verified: false });
});
