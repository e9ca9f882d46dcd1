import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type NpyArray, writeNpz } from "@funmatch/models";
import { draws } from "@funmatch/views";
import { describe, expect, test } from "vitest";
import { linearCka } from "../../student-trainer/report/cka.ts";
import { sampleFeatures } from "../../student-trainer/report/feature-sample.ts";
import { fitProbe } from "../../student-trainer/report/least-squares.ts";
import { probe } from "../../student-trainer/report/probe.ts";
import { python } from "../e2e/python.ts";
import { someEvaluation } from "../teach/batches.ts";

const script = fileURLToPath(new URL("./features.py", import.meta.url));
const stream = draws(0, "features");
const noise = (length: number) => Float32Array.from({ length }, () => stream.normal());

/** Features of `rows` images that lie about their class's place, with directions of very different sizes. */
function classed(rows: number, width: number, classes: number) {
  const data = noise(rows * width).map((value, i) => {
    const [row, c] = [Math.floor(i / width), i % width];
    return (value * 1.5 + (c % classes === row % classes ? 1 : 0)) * 2 ** (c % 7) + 10;
  });
  return { data, width, labels: Int32Array.from({ length: rows }, (_, i) => i % classes) };
}

describe.each([
  ["more images than features", 60, 12],
  ["more features than images", 20, 48],
])("%s", (_, shots, width) => {
  test("CKA and the probe's choices are numpy's", async () => {
    const classes = 5;
    const [known, tested, x] = [
      classed(shots, width, classes),
      classed(200, width, classes),
      classed(40, width, 5),
    ];
    const y = { data: noise(40 * 7).map((value, i) => value + x.data[i % x.data.length]! / 8), width: 7 };
    const found = fitProbe(known, known.labels, classes, 1024).choices(tested);

    const file = join(mkdtempSync(join(tmpdir(), "features-")), "arrays.npz");
    const matrix = ({ data, width }: { data: Float32Array; width: number }): NpyArray => ({
      ...{ dtype: "float32", shape: [data.length / width, width], data },
    });
    const column = (data: Float32Array): NpyArray => ({ dtype: "float32", shape: [data.length], data });
    await writeNpz(file, {
      ...{ x: matrix(x), y: matrix(y), shots: matrix(known), tested: matrix(tested) },
      shotLabels: column(Float32Array.from(known.labels)),
      ...{ l2: column(Float32Array.of(1024)), classes: column(Float32Array.of(classes)) },
    });
    const numpy = JSON.parse(python(script, [file]));
    expect(linearCka(x, y)).toBeCloseTo(numpy.cka, 10);
    expect(numpy.narrowest).toBeGreaterThan(1e-9); // no choice hangs on the last bits
    expect([...found]).toEqual(numpy.choices);
    const right = found.filter((choice, i) => choice === tested.labels[i]).length / found.length;
    expect(right).toBeGreaterThan(0.35);
    expect(right).toBeLessThan(1);
  });
});

test("CKA does not see rotation, scale and offset; between independent features it is small", () => {
  const x = { data: noise(300 * 2), width: 2 };
  const turned = x.data.map((_, i) => {
    const [a, b] = [x.data[i - (i % 2)]!, x.data[i - (i % 2) + 1]!];
    return 7 + 3 * (i % 2 === 0 ? 0.6 * a - 0.8 * b : 0.8 * a + 0.6 * b);
  });
  expect(linearCka(x, { data: turned, width: 2 })).toBeCloseTo(1, 6);
  expect(linearCka(x, { data: noise(300 * 3), width: 3 })).toBeLessThan(0.05);
});

test("a sample is spaced evenly, leaves corrupt images out, and is aligned with the right rows", () => {
  const size = 5000; // every third image
  const features = noise(size);
  const labels = new Int32Array(size).fill(0);
  for (const corrupt of [0, 1, 2, 3, 100]) labels[corrupt] = -1;
  const sample = sampleFeatures(size);
  for (let first = 0; first < size; first += 64) {
    const count = Math.min(64, size - first);
    sample.add(first, labels.subarray(first, first + count), features.slice(first, first + count), 1);
  }
  const decoded = features.filter((_, i) => labels[i] !== -1);
  const logits = new Float32Array(2 * decoded.length).map((_, i) => decoded[i >> 1]! * (i % 2 ? -1 : 2) + 5);
  expect(sample.cka(logits, 2)).toBeCloseTo(1, 9);
  expect(sample.cka(new Float32Array(2 * decoded.length), 2)).toBeUndefined(); // constant
});

test("a probe draws its shots from the seed, the same on every run, and learns what its features tell", async () => {
  const labels = Array.from({ length: 5 }, (_, i) => String(i));
  const source = (size: number) => ({ labels, size, label: (i: number) => i % 5 });
  const asked: string[] = [];
  const pool = {
    sources: { train: source(100), test: source(41) },
    evaluation: async (split: string, start: number, count: number) => {
      asked.push(`${split} ${start}`);
      return someEvaluation(start, count);
    },
    release: () => {},
  };
  /** Features that tell the class of an image, whose first byte is 13 times its number. */
  const forward = async (images: Uint8Array) => {
    const features = new Float32Array(8 * 6).map((_, i) => {
      const number = (images[Math.floor(i / 6) * 48]! * 197) % 256; // 13 * 197 = 1 mod 256
      return number % 5 === i % 6 ? 2 : ((number * 7 + i * 3) % 11) / 11;
    });
    return { logits: features, features };
  };
  const o = { pool: pool as never, forward, batch: 8, seed: 3, from: "train", on: "test" };
  const settings = { ...o, shots: [1, 4], l2: 1, draws: 2 };
  const found = await probe(settings);
  expect(found).toMatchObject({ on: "test", from: "train" });
  expect(found.shots.map(({ shots, accuracies }) => [shots, accuracies.length])).toEqual([
    [1, 2],
    [4, 2],
  ]);
  expect(found.shots[1]!.accuracy).toBeGreaterThan(0.9);
  const drawn = asked.filter((call) => call.startsWith("train"));
  expect(drawn.length).toBeLessThanOrEqual(2 * 4 * 5); // drawn images alone are looked at
  expect(asked.filter((call) => call.startsWith("test"))).toHaveLength(41);
  const before = asked.splice(0);
  expect(await probe(settings)).toEqual(found);
  expect(asked).toEqual(before);
  await probe({ ...settings, seed: 4 });
  expect(asked.filter((call) => call.startsWith("train")).slice(-drawn.length)).not.toEqual(drawn);
});
