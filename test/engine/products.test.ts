import { loadEngine, productsInBfloat16 } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { cpuFlags } from "../../shared/engine/cpu-flags.ts";
import { convolve } from "../../shared/models/convolution.ts";
import { captured, eager, floats, type Given } from "./both-ways.ts";
import { relativeDifference } from "./fused-and-plain.ts";

beforeAll(async () => {
  await loadEngine();
});

const IMAGE = [2, 6, 5, 3] as const;
const FILTER = [3, 3, 3, 4] as const;
const given: Given = {
  x: floats(1, ...IMAGE),
  filter: floats(2, ...FILTER),
  dy: floats(3, 2, 4, 3, 4),
  a: floats(4, 5, 7),
  b: floats(5, 7, 3),
};

type Numbers = ArrayLike<number>;

/** To the nearest number of 8 bits of precision, ties to even. */
function rounded(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0] = ((bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) >>> 16) << 16;
  return new Float32Array(bits.buffer)[0]!;
}

/** Calls `each` for every product of a convolution [2,6,5,3] * [3,3,3,4] without padding → [2,4,3,4], by flat indices. */
function everyProduct(each: (x: number, filter: number, y: number) => void): void {
  const [images, , width, inputs] = IMAGE;
  const outputs = FILTER[3];
  for (let n = 0; n < images; n++)
    for (let i = 0; i < 4; i++)
      for (let j = 0; j < 3; j++)
        for (let o = 0; o < outputs; o++)
          for (let k = 0; k < 9 * inputs; k++) {
            const [di, dj, c] = [Math.floor(k / 9), Math.floor(k / 3) % 3, k % 3];
            const x = ((n * IMAGE[1] + i + di) * width + j + dj) * inputs + c;
            each(x, k * outputs + o, ((n * 4 + i) * 3 + j) * outputs + o);
          }
}

/** The same from rounded operands, summed in float64, the sums rounded. */
function emulated(): Record<string, number[]> {
  const [x, filter, dy, a, b] = ["x", "filter", "dy", "a", "b"].map((name) =>
    Array.from(given[name]!.values, rounded),
  ) as [number[], number[], number[], number[], number[]];
  const [y, dx, df] = [dy, x, filter].map((like) => like.map(() => 0)) as [number[], number[], number[]];
  everyProduct((ix, iFilter, iy) => {
    y[iy]! += x[ix]! * filter[iFilter]!;
    dx[ix]! += dy[iy]! * filter[iFilter]!;
    df[iFilter]! += dy[iy]! * x[ix]!;
  });
  const product = Array.from({ length: 15 }, (_, at) => {
    const [row, column] = [Math.floor(at / 3), at % 3];
    return a.slice(7 * row, 7 * row + 7).reduce((sum, value, k) => sum + value * b[3 * k + column]!, 0);
  });
  return Object.fromEntries(
    Object.entries({ y, dx, df, product }).map(([name, sums]) => [name, sums.map(rounded)]),
  );
}

function products({ x, filter, dy, a, b }: Record<string, tf.Tensor>) {
  return productsInBfloat16(() => {
    const conv = (...of: tf.Tensor[]) => tf.conv2d(of[0] as tf.Tensor4D, of[1] as tf.Tensor4D, 1, "valid");
    const [dx, df] = tf.grads(conv)([x!, filter!], dy!) as [tf.Tensor, tf.Tensor];
    return { y: conv(x!, filter!), dx, df, product: tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D) };
  });
}

/** The largest distance, in units of the last of 8 bits. */
function lastBits(got: Numbers, want: Numbers): number {
  expect(got.length).toBe(want.length);
  const ulp = (value: number) => 2 ** (Math.floor(Math.log2(Math.max(Math.abs(value), 2 ** -6))) - 7);
  return Math.max(...Array.from(want, (value, i) => Math.abs(got[i]! - value) / ulp(value)));
}

describe("products in bfloat16", () => {
  test.each([
    ["captured", captured],
    ["as tfjs does them", eager],
  ])("are those of rounded operands, with rounded results: %s", (_, run) => {
    const [got, wanted] = [run(given, products), emulated()];
    expect(Object.keys(got).sort()).toEqual(Object.keys(wanted).sort());
    for (const [name, sums] of Object.entries(wanted)) {
      expect(Array.from(got[name]!), name).toEqual(Array.from(got[name]!, rounded));
      // the order of a sum may tip one that lies halfway
      expect(lastBits(got[name]!, sums), name).toBeLessThanOrEqual(1);
    }
    const exact = run(given, ({ a, b }) => ({ product: tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D) }));
    expect(got.product).not.toEqual(exact.product);
  });

  test.each([
    ["captured", captured],
    ["as tfjs does them", eager],
  ])("all else, and what stands in a scope named float32, is as without: %s", (_, run) => {
    const fn = ({ x, a, b }: Record<string, tf.Tensor>) => ({
      product: tf.tidy("float32", () => tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D)),
      depthwise: tf.depthwiseConv2d(x as tf.Tensor4D, tf.ones([3, 3, 3, 1]), 1, "same"),
      norm: tf.div(tf.sub(x!, tf.mean(x!)), tf.sqrt(tf.mean(tf.square(x!)))),
      whole: tf.matMul(tf.ones([2, 2], "int32"), tf.fill([2, 2], 257, "int32")),
    });
    expect(run(given, (inputs) => productsInBfloat16(() => fn(inputs)))).toEqual(run(given, fn));
  });

  test("leave no tensor behind, whatever happens", () => {
    const native = () => (tf.backend() as unknown as { getNumOfTFTensors(): number }).getNumOfTFTensors();
    const before = [tf.memory().numTensors, native()];
    for (let i = 0; i < 3; i++) eager(given, products);
    const fail = () =>
      productsInBfloat16(() => {
        tf.matMul(tf.ones([2, 2]), tf.ones([2, 2]));
        throw new RangeError("mine");
      });
    expect(() => tf.tidy(fail)).toThrow(RangeError);
    expect([tf.memory().numTensors, native()]).toEqual(before);
    // and what follows is exact again: 257 has nine bits
    expect(tf.tidy(() => tf.matMul(tf.scalar(257).reshape([1, 1]), tf.ones([1, 1])).dataSync()[0])).toBe(257);
  });

  test("our convolution keeps images and their gradients in bfloat16, a kernel and its gradient in float32", ({
    skip,
  }) => {
    if (tf.getKernel("FunmatchConvolution", "tensorflow") === undefined)
      skip("the engine has no operations of ours");
    if (cpuFlags().includes("amx_bf16")) skip("this CPU is quicker by TensorFlow's");
    const images: Given = {
      x: floats(6, 2, 8, 8, 32),
      kernel: floats(7, 3, 3, 32, 16),
      dy: floats(8, 2, 8, 8, 16),
    };
    const all = ({ x, kernel, dy }: Record<string, tf.Tensor>) => {
      const conv = (...of: tf.Tensor[]) => convolve(of[0] as tf.Tensor4D, of[1] as tf.Tensor4D, 1, 1);
      const [dx, dkernel] = tf.grads(conv)([x!, kernel!], dy!) as [tf.Tensor, tf.Tensor];
      return { y: conv(x!, kernel!), dx, dkernel };
    };
    const narrow = (one: Given[string]) => ({ ...one, values: Float32Array.from(one.values, rounded) });
    const roundedImages = { ...images, x: narrow(images.x!), dy: narrow(images.dy!) };
    for (const run of [captured, eager]) {
      const got = run(images, (inputs) => productsInBfloat16(() => all(inputs)));
      const wanted = run(roundedImages, all);
      for (const name of ["y", "dx"]) {
        expect(Array.from(got[name]!)).toEqual(Array.from(got[name]!, rounded));
        expect(lastBits(got[name]!, Array.from(wanted[name]!, rounded))).toBeLessThanOrEqual(1);
      }
      expect(relativeDifference(got.dkernel!, wanted.dkernel!)).toBeLessThan(2e-6);
      expect(Array.from(got.dkernel!)).not.toEqual(Array.from(got.dkernel!, rounded));
    }
  });

  test("our fused norm reads and writes bfloat16, its statistics and its vectors stay in float32", ({
    skip,
  }) => {
    const name = "FunmatchGroupNormRelu";
    if (tf.getKernel(name, "tensorflow") === undefined) skip("the engine has no fused operations");
    const image: Given = { x: floats(6, 2, 4, 4, 32) };
    const norm = (x: tf.Tensor) => {
      const vector = tf.linspace(0.5, 1.5, 32).reshape([1, 1, 1, 32]);
      const inputs = { x, scale: vector, bias: vector } as unknown as tf.NamedTensorMap;
      const attributes = { groups: 8, epsilon: 1e-5 };
      const [y, mean] = tf.engine().runKernel(name, inputs, attributes) as tf.Tensor[];
      return { y: y!, mean: mean! };
    };
    for (const run of [captured, eager]) {
      const got = run(image, ({ x }) => productsInBfloat16(() => norm(x!)));
      const narrow = { x: { ...image.x!, values: Float32Array.from(image.x!.values, rounded) } };
      const wanted = run(narrow, ({ x }) => norm(x!));
      expect(Array.from(got.y!)).toEqual(Array.from(got.y!, rounded));
      expect(lastBits(got.y!, Array.from(wanted.y!, rounded))).toBeLessThanOrEqual(1);
      for (const [i, mean] of Array.from(wanted.mean!).entries()) expect(got.mean![i]).toBeCloseTo(mean, 6);
    }
  });
});
