import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readNpz, writeNpz } from "@funmatch/models";
import { expect, onTestFinished, test } from "vitest";
import type { TrainBatch } from "../../student-trainer/data/batch.ts";
import { openPool } from "../../student-trainer/data/pool.ts";
import type { Answer, SentViews, Teacher } from "../../student-trainer/teach/client.ts";
import { checkContract, contractLines } from "../../student-trainer/teach/contract.ts";
import { openInProcessTeacher } from "../../student-trainer/teach/in-process/client.ts";
import { lookAt } from "../../student-trainer/teach/near-chance.ts";
import { smallViews } from "./batches.ts";

const bundled = fileURLToPath(new URL("../../data/fashion/teacher/teacher.npz", import.meta.url));
const { signal } = new AbortController();

/** The contract of the bundled teacher, or of one made of its file, on the bundled pictures. */
async function contractOf(o: { path?: string; valueRange?: [number, number] }) {
  const { path = bundled, valueRange = [-1, 1] } = o;
  const teacher = await openInProcessTeacher({ path, valueRange, resolution: 64, images: 64 });
  onTestFinished(() => teacher.close());
  const pool = await openPool({
    ...{ train: { fashion: "validation" }, splits: {}, seed: 0, batch: 16, resolution: 64, chunk: 16 },
    ...{ view: "ic", mixup: 0, workers: 1, centralSide: 64 },
  });
  onTestFinished(() => pool.close());
  const [contract] = await checkContract({ teachers: [teacher], chunks: [16], pool, split: "train", signal });
  return contract!;
}

test("a good teacher: its terms, its accuracy, and no warning", async () => {
  const contract = await contractOf({});
  expect(contract.warnings).toEqual([]);
  const terms = Object.fromEntries(contract.terms);
  expect(terms).toMatchObject({
    version: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    classes: "10, unnamed by the teacher",
    answers: "verified by the digest of what they are for",
  });
  expect(Number.parseFloat(terms.accuracy!)).toBeGreaterThan(80);
  expect(contractLines([contract])[0]).toMatch(/: OK$/);
}, 60_000);

test.each([
  // A BiT divides by its own deviation: scale costs it nothing, an offset like the last one everything.
  [
    "0…1, which costs it 11 points",
    [0, 1],
    /: with valueRange: \[-1, 1\] it is right about 89\.1 %, as it is set/,
  ],
  ["an offset that leaves chance", [100, 101], /near chance .*with valueRange: \[-1, 1\] it is right about/],
] as [string, [number, number], RegExp][])(
  "a value range that it was not trained with is called out: %s",
  async (_, valueRange, words) => {
    const { warnings } = await contractOf({ valueRange });
    expect(warnings).toEqual([expect.stringMatching(words)]);
  },
  60_000,
);

test("classes in another order are called out, with examples", async () => {
  const arrays = await readNpz(bundled);
  for (const name of ["head/kernel", "head/bias"]) {
    const { data, shape } = arrays.get(name)!;
    const before = Float32Array.from(data as Float32Array);
    const classes = shape.at(-1)!;
    for (let i = 0; i < before.length; i++)
      (data as Float32Array)[i] = before[i - (i % classes) + ((i + 3) % classes)]!;
  }
  const path = join(mkdtempSync(join(tmpdir(), "funmatch-permuted-")), "teacher.npz");
  await writeNpz(path, arrays);
  const contract = await contractOf({ path });
  expect(contract.warnings).toEqual([
    expect.stringMatching(
      /near chance .*its classes seem to be in another order: it says to .* mostly class/,
    ),
  ]);
  expect(contractLines([contract]).at(-1)).toMatch(/^ {2}WARNING: /);
}, 60_000);

test("red and blue exchanged: told by asking the other way round", async () => {
  // It knows two classes: more red than blue, and more blue than red; and it was trained on BGR.
  const ask = async ({ data, shape: [count] }: SentViews): Promise<Answer> => {
    const bytes = data.length / count;
    const logits = Float32Array.from({ length: 2 * count }, (_, i) => {
      const image = data.subarray(Math.floor(i / 2) * bytes, (Math.floor(i / 2) + 1) * bytes);
      return image[i % 2 === 0 ? 2 : 0]!;
    });
    return { logits, version: "v", cache: "none" };
  };
  const card = { classes: 2, version: "v", input: { resolution: 4, valueRange: [0, 1], dtypes: ["uint8"] } };
  const limits = { maxImages: 10, maxBodyBytes: 1 << 20, timeoutMs: 1000 };
  const teacher = { url: "prof", card, limits, echoesDigest: true, ask } as unknown as Teacher;
  const released: unknown[] = [];
  const evaluation = async (_split: string, start: number, count: number) => {
    const labels = Int32Array.from({ length: count }, (_, i) => (start + i) % 2);
    const views = await smallViews(count, (image, channel) =>
      channel === (labels[image] === 0 ? 0 : 2) ? 200 : 10,
    );
    return { indices: labels, labels, views, teacherViews: [views] };
  };
  const pool = {
    evaluation,
    release: (batch: TrainBatch | { labels: Int32Array }) => void released.push(batch),
    sources: { train: { size: 1000, labels: ["red", "blue"] } },
  } as unknown as Parameters<typeof checkContract>[0]["pool"];
  const [contract] = await checkContract({ teachers: [teacher], chunks: [8], pool, split: "train", signal });
  expect(contract!.warnings).toEqual([expect.stringMatching(/right about 100.0 %: it was trained on BGR/)]);
  expect(released).toHaveLength(32);
});

test("what is said of answers, worked out by hand", () => {
  const names = ["a", "b"];
  const labels = Int32Array.from({ length: 20 }, (_, i) => i % 2);
  const saying = (choice: (label: number, i: number) => number, low = -3) =>
    Float32Array.from({ length: 40 }, (_, i) =>
      choice(labels[Math.floor(i / 2)]!, Math.floor(i / 2)) === i % 2 ? 1 : low,
    );
  expect(
    lookAt(
      saying((label) => label),
      labels,
      names,
    ),
  ).toEqual({
    ...{ images: 20, accuracy: 1, chance: 0.5, nearChance: false, suspicions: [] },
    right: Array.from({ length: 20 }, () => true),
  });
  expect(
    lookAt(
      saying(() => 1),
      labels,
      names,
    ),
  ).toMatchObject({
    ...{ accuracy: 0.5, nearChance: true, suspicions: [expect.stringMatching(/"b" to every image/)] },
  });
  expect(
    lookAt(
      saying((label) => 1 - label),
      labels,
      names,
    ).suspicions[0],
  ).toMatch(/another order/);
  expect(
    lookAt(
      saying((_, i) => (i >> 1) % 2),
      labels,
      names,
    ).suspicions,
  ).toEqual([
    expect.stringMatching(/the value range, the order of the channels, or the order of the classes/),
  ]);
  expect(
    lookAt(
      saying((label) => label, 0),
      labels,
      names,
    ).suspicions,
  ).toEqual([expect.stringMatching(/probabilities, not logits/)]);
  const few = labels.subarray(0, 4);
  expect(lookAt(saying(() => 1).subarray(0, 8), few, names).nearChance).toBe(false);
});
