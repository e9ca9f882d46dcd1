import {
  bitBlocks,
  bitConfigOf,
  bitShapes,
  initBit,
  loadBitWeights,
  type NpyArray,
  parameterCount,
  teacherVersion,
  type Weights,
  weightsSha256,
  writeNpz,
} from "@funmatch/models";
import { describe, expect, test } from "vitest";
import { scratchFile } from "./zip-files.ts";

const golden = new URL("../golden/", import.meta.url).pathname;
const TINY = { blocks: [1, 1], width: 0.5, classes: 3 };

/** Numbers that tell one parameter from another. */
function tiny(): Weights {
  let next = 0;
  return initBit(TINY, (_, count) => Float32Array.from({ length: count }, () => Math.sin(next++)));
}

async function saved(weights: Weights, rename: (name: string) => string, change = (a: NpyArray) => a) {
  const path = await scratchFile();
  const arrays = Object.entries(weights).map(([name, { shape, values }]): [string, NpyArray] => [
    rename(name),
    change({ dtype: "float32", shape, data: values }),
  ]);
  await writeNpz(path, new Map(arrays));
  return path;
}

/** The names that the older BiT release gives to the same parameters, with its odd layer numbers. */
function oldName(name: string): string {
  const fixed: Record<string, string> = {
    "root_block/conv_root/kernel": "root_block/standardized_conv2d/kernel",
    "norm-pre-head/scale": "group_norm/gamma",
    "norm-pre-head/bias": "group_norm/beta",
    "head/kernel": "head/conv2d/kernel",
    "head/bias": "head/conv2d/bias",
  };
  const unit = name
    .replace(/conv_proj\/kernel/, "a/proj/standardized_conv2d_3/kernel")
    .replace(/conv([123])\/kernel/, (_, i) => `${"abc"[i - 1]}/standardized_conv2d_${i}/kernel`)
    .replace(/gn([123])\/scale/, (_, i) => `${"abc"[i - 1]}/group_norm/gamma`)
    .replace(/gn([123])\/bias/, (_, i) => `${"abc"[i - 1]}/group_norm/beta`);
  return `resnet/${fixed[name] ?? unit}`;
}

describe("loading", () => {
  test("depth, width and classes are read off names and shapes", async () => {
    const weights = await loadBitWeights(`${golden}bit_params.npz`);
    expect(bitConfigOf(weights)).toEqual({ blocks: [1, 2], width: 1, classes: 11 });
    expect(parameterCount(weights)).toBe(748_107);
  });

  test.each(["", "params/", "opt/target/"])("names under '%s'", async (prefix) => {
    const path = await saved(tiny(), (name) => prefix + name);
    expect(await loadBitWeights(path)).toEqual(tiny());
  });

  test("optimizer state beside the parameters is not read", async () => {
    const weights = tiny();
    const path = await scratchFile();
    const arrays = new Map<string, NpyArray>();
    for (const [name, { shape, values }] of Object.entries(weights))
      for (const part of ["params", "opt/0/mu"])
        arrays.set(`${part}/${name}`, { dtype: "float32", shape, data: values });
    await writeNpz(path, arrays);
    expect(await loadBitWeights(path)).toEqual(weights);
  });

  test("the older release's names, vectors and 1×1 head", async () => {
    const path = await saved(tiny(), oldName, (array) => {
      if (array.shape.length === 2) return { ...array, shape: [1, 1, ...array.shape] };
      const isVector = array.shape.slice(0, 3).join() === "1,1,1";
      return isVector ? { ...array, shape: array.shape.slice(3) } : array;
    });
    expect(await loadBitWeights(path)).toEqual(tiny());
  });

  test("bfloat16 parameters", async () => {
    const path = await saved(
      tiny(),
      (name) => name,
      (array) => ({ ...array, dtype: "bfloat16" }),
    );
    const { values } = (await loadBitWeights(path))["block1/unit01/conv1/kernel"]!;
    const exact = tiny()["block1/unit01/conv1/kernel"]!.values;
    values.forEach((value, i) => {
      expect(Math.abs(value - exact[i]!)).toBeLessThanOrEqual(Math.abs(exact[i]!) * 2 ** -8);
    });
  });

  test("what is no BiT model is refused by name", async () => {
    const without = tiny();
    delete without["block2/unit01/gn2/bias"];
    await expect(loadBitWeights(await saved(without, (n) => n))).rejects.toThrow(
      /block2\/unit01\/gn2\/bias is missing/,
    );
    const more = { ...tiny(), "embedding/kernel": { shape: [1], values: Float32Array.of(0) } };
    await expect(loadBitWeights(await saved(more, (n) => n))).rejects.toThrow(/also has embedding\/kernel/);
    const bent = tiny();
    bent["head/bias"] = { shape: [4], values: new Float32Array(4) };
    await expect(loadBitWeights(await saved(bent, (n) => n))).rejects.toThrow(
      /head\/bias has shape \[4\], a BiT model needs \[3\]/,
    );
    await expect(loadBitWeights(`${golden}distances.npz`)).rejects.toThrow(/not a BiT model/);
  });
});

describe("making", () => {
  test.each([
    // As the paper's code makes them.
    [50, 1, 1000, 25_549_352],
    [152, 2, 1000, 236_335_208],
  ])("BiT-R%dx%d has the paper's number of parameters", (depth, width, classes, count) => {
    const shapes = bitShapes({ blocks: bitBlocks(depth), width, classes });
    const sizes = Object.values(shapes).map((shape) => shape.reduce((product, d) => product * d, 1));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(count);
  });

  test("kernels are LeCun normal and cut off, norms the identity, the head zero", () => {
    let seed = 1;
    const uniform = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
    const weights = initBit({ blocks: [1], width: 1, classes: 2 }, (_, n) =>
      Float32Array.from({ length: n }, normal),
    );
    const { values } = weights["block1/unit01/conv2/kernel"]!;
    const deviation = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
    expect(deviation).toBeCloseTo(1 / Math.sqrt(576), 3);
    expect(Math.max(...values)).toBeLessThanOrEqual((2 / 0.8796) * (1 / Math.sqrt(576)));
    expect(new Set(weights["block1/unit01/gn1/scale"]!.values)).toEqual(new Set([1]));
    expect(new Set(weights["head/kernel"]!.values)).toEqual(new Set([0]));
  });

  test("widths that 32 groups do not divide, and unknown depths, are refused", () => {
    expect(() => bitShapes({ blocks: [1], width: 0.25, classes: 2 })).toThrow(/use a multiple of 0.5/);
    expect(() => bitBlocks(18)).toThrow(/no depth 18: choose 26, 50, 101, 152, 200/);
  });
});

describe("version", () => {
  const how = {
    preprocessing: { resolution: 64, valueRange: [-1, 1] },
    output: { kind: "logits" },
    compute: "float32",
  };

  test("does not depend on the order of names or keys", () => {
    const weights = tiny();
    const reversed = Object.fromEntries(Object.entries(weights).reverse());
    expect(weightsSha256(reversed)).toBe(weightsSha256(weights));
    const turned = { ...how, preprocessing: { valueRange: [-1, 1], resolution: 64 } };
    expect(teacherVersion(weights, turned)).toBe(teacherVersion(weights, how));
    expect(teacherVersion(weights, how)).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  test("changes with whatever changes the answers", () => {
    const weights = tiny();
    const touched = tiny();
    touched["head/bias"]!.values[0] = 1e-30;
    const versions = [
      teacherVersion(weights, how),
      teacherVersion(touched, how),
      teacherVersion(weights, { ...how, compute: "bfloat16" }),
      teacherVersion(weights, { ...how, preprocessing: { resolution: 65, valueRange: [-1, 1] } }),
      teacherVersion(weights, { ...how, output: { kind: "mean" } }),
    ];
    expect(new Set(versions).size).toBe(versions.length);
  });
});
