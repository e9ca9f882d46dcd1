import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { modelSchema, resolveModel } from "../../teacher-service/config/model-config.ts";
import { openNetwork } from "../../teacher-service/formats/open.ts";
import { kernelBytes, meansNetwork } from "./tiny-onnx.ts";
import { noise } from "./tiny-teacher.ts";

const SIDE = 6;
const PIXELS = SIDE * SIDE * 3;
const KERNEL = [
  [1, 0, 0.5, 2],
  [0, 1, 0.25, -1],
  [0, 0, -0.5, 1],
];
const BIAS = [0.1, 0.2, 0.3, 0.4];
const images = noise(3 * PIXELS);

const folder = mkdtempSync(join(tmpdir(), "funmatch-onnx-"));
let files = 0;
function write(bytes: Uint8Array | string): string {
  const path = join(folder, `${++files}.onnx`);
  writeFileSync(path, bytes);
  return path;
}

function open(path: string, o: object = {}) {
  const written = { format: "onnx", path, resolution: SIDE, valueRange: [-1, 1], output: "logits", ...o };
  return openNetwork(resolveModel(modelSchema.parse(written), join(folder, "teacher.yaml")), 1);
}

/** Logits of the three images in a pass of `size`, from 4 classes. */
async function logits(path: string, o: object = {}, size = 4): Promise<number[]> {
  const network = await open(path, o);
  const content = { dtype: "uint8" as const, shape: [3, SIDE, SIDE, 3] as const, data: images };
  const found = await network.compute({
    size,

    slices: [{ images: content, from: 0, count: 3 }],
  });
  expect(found).toHaveLength(size * 4);
  return [...found.subarray(0, 12)];
}

/** The same by hand: mean of each channel, scaled. */
function byHand(scaled: (mean: number, channel: number) => number, order = [0, 1, 2]): number[] {
  return [0, 1, 2].flatMap((image) => {
    const means = order.map((from, channel) => {
      let sum = 0;
      for (let i = from; i < PIXELS; i += 3) sum += images[image * PIXELS + i]!;
      return scaled(sum / (SIDE * SIDE) / 255, channel);
    });
    return BIAS.map((bias, k) => means.reduce((sum, mean, c) => sum + mean * KERNEL[c]![k]!, bias));
  });
}

function near(found: number[], expected: number[], digits = 5): void {
  expect(found).toHaveLength(expected.length);
  found.forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i]!, digits);
  });
}

const network = (o: Partial<Parameters<typeof meansNetwork>[0]> = {}) =>
  write(meansNetwork({ kernel: KERNEL, bias: BIAS, side: SIDE, ...o }));

describe("an ONNX network answers what its config says", () => {
  test.each(["nchw", "nhwc"] as const)("%s, read off the input's shape", async (layout) => {
    near(
      await logits(network({ layout })),
      byHand((mean) => mean * 2 - 1),
    );
  });

  test("mean and standard deviation of each channel", async () => {
    const [mean, std] = [
      [0.485, 0.456, 0.406],
      [0.229, 0.224, 0.225],
    ] as const;
    const expected = byHand((value, channel) => (value - mean[channel]!) / std[channel]!);
    near(await logits(network(), { valueRange: undefined, mean, std }), expected);
  });

  test("blue first", async () => {
    near(
      await logits(network(), { channelOrder: "bgr" }),
      byHand((mean) => mean * 2 - 1, [2, 1, 0]),
    );
  });

  test("probabilities, as their logarithm", async () => {
    const o = { output: "probabilities", outputs: "probabilities" };
    const expected = byHand((mean) => mean * 2 - 1);
    const found = await logits(network(), o);
    for (const row of [0, 4, 8]) {
      const total = Math.log(expected.slice(row, row + 4).reduce((sum, value) => sum + Math.exp(value), 0));
      near(
        found.slice(row, row + 4),
        expected.slice(row, row + 4).map((value) => value - total),
      );
    }
  });

  test("a probability of 0 becomes a finite logit", async () => {
    const path = network({ bias: [0, 0, 0, 1000] });
    const found = await logits(path, { output: "probabilities", outputs: "probabilities" });
    expect(found[0]).toBeCloseTo(Math.log(2 ** -126), 3);
    expect(found[3]).toBeCloseTo(0);
  });

  test("a batch size that is fixed in the file is the only one", async () => {
    const path = network({ batch: 5 });
    expect((await open(path)).facts.batchSizes).toEqual([5]);
    near(
      await logits(path, {}, 5),
      byHand((mean) => mean * 2 - 1),
    );
  });

  test("a constant within a node", async () => {
    near(await logits(network({ constant: true })), await logits(network()));
  });

  test("weights may lie in a file beside it", async () => {
    writeFileSync(join(folder, "kernel.bin"), kernelBytes(KERNEL));
    const path = network({ external: "kernel.bin" });
    near(
      await logits(path),
      byHand((mean) => mean * 2 - 1),
    );
    const { version, parameters } = (await open(path)).facts;
    expect(parameters).toBe(16);
    writeFileSync(join(folder, "kernel.bin"), kernelBytes(KERNEL.map((row) => row.map((each) => each + 1))));
    expect((await open(path)).facts.version).not.toBe(version);
  });
});

describe("its version", () => {
  const versions = async (...all: object[]) =>
    Promise.all(all.map(async (o) => (await open(network(), o)).facts.version));

  test("stays the same for another copy of the file, and changes with whatever changes the answers", async () => {
    const [same, again, ...others] = await versions(
      {},
      {},
      { valueRange: [0, 1] },
      { channelOrder: "bgr" },
      { output: "probabilities" },
      { output: "probabilities", outputs: "probabilities" },
      { resize: false },
      { valueRange: undefined, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    );
    expect(again).toBe(same);
    expect(new Set([same, ...others]).size).toBe(7);
    const other = network({ bias: [0, 0, 0, 0] });
    expect((await open(other)).facts.version).not.toBe(same);
  });
});

describe("refused, by name", () => {
  const whole = meansNetwork({ kernel: KERNEL, bias: BIAS, side: SIDE });
  test.each<[string, () => string, object, RegExp]>([
    ["no file", () => join(folder, "none.onnx"), {}, /there is no file .*none\.onnx/],
    ["a directory", () => folder, {}, /cannot read .*EISDIR/],
    ["an empty file", () => write(""), {}, /is not an ONNX file: it holds no graph/],
    ["text", () => write("this is no network"), {}, /is not an ONNX file/],
    [
      "a file that is cut off",
      () => write(whole.subarray(0, whole.length - 40)),
      {},
      /is not an ONNX file, or is cut off/,
    ],
    [
      "lengths beyond the file",
      () => write(Uint8Array.of(8, 8, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x07)),
      {},
      /is cut off/,
    ],
    ["a pickle", () => write(Uint8Array.of(0x80, 2, 0x7d)), {}, /pickles are not opened/],
    ["a PyTorch archive", () => write("PK\x03\x04data.pkl"), {}, /pickles are not opened/],
    [
      "weights elsewhere",
      () => network({ external: "../../etc/passwd" }),
      {},
      /kernel lie in "\.\.\/\.\.\/etc\/passwd"/,
    ],
    [
      "a constant elsewhere",
      () => network({ external: "../../etc/passwd", constant: true }),
      {},
      /kernel lie in "\.\.\/\.\.\/etc\/passwd"/,
    ],
    [
      "weights that are not there",
      () => network({ external: "none.bin" }),
      {},
      /weights in none\.bin cannot be read: ENOENT/,
    ],
    ["another resolution", () => network(), { resolution: 7 }, /is \[\?,3,6,6\]: images of 7x7x3 do not fit/],
    ["the wrong layout", () => network(), { layout: "nhwc" }, /do not fit it as nhwc/],
    [
      "no such output",
      () => network(),
      { output: "logit" },
      /no output logit: there is logits, probabilities/,
    ],
    [
      "outputs to choose from",
      () => network(),
      { output: undefined },
      /has the outputs logits, probabilities: say which/,
    ],
  ])("%s", async (_what, path, o, message) => {
    await expect(open(path(), o)).rejects.toThrow(message);
  });
});
