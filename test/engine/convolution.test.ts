import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { loadEngine, roundToBfloat16 } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { nativeBackend } from "../../shared/engine/native.ts";
import { convolve, plainConvolve } from "../../shared/models/convolution.ts";
import { inBfloat16, relativeDifference, seeded, valueAndGradients } from "./fused-and-plain.ts";

beforeAll(async () => {
  await loadEngine();
});

interface Case {
  x: [images: number, height: number, width: number, channels: number];
  outputs: number;
  side: number;
  stride: number;
  pad: number;
}

/** Kernels of one pixel, channels that fill no vector, sums in several pieces, strides that leave pixels unseen. */
const PATCHES: Case[] = [
  { x: [1, 1, 1, 1], outputs: 1, side: 1, stride: 1, pad: 0 },
  { x: [2, 8, 8, 64], outputs: 64, side: 1, stride: 1, pad: 0 },
  { x: [3, 5, 7, 37], outputs: 45, side: 1, stride: 1, pad: 0 },
  { x: [1, 6, 6, 600], outputs: 48, side: 1, stride: 1, pad: 0 },
  { x: [2, 9, 8, 32], outputs: 33, side: 1, stride: 2, pad: 0 },
  { x: [1, 40, 40, 32], outputs: 16, side: 1, stride: 1, pad: 0 },
  { x: [2, 11, 13, 3], outputs: 33, side: 7, stride: 2, pad: 3 },
  { x: [2, 9, 9, 20], outputs: 48, side: 3, stride: 2, pad: 1 },
  { x: [1, 8, 8, 128], outputs: 80, side: 3, stride: 2, pad: 1 },
  { x: [2, 10, 9, 70], outputs: 66, side: 3, stride: 1, pad: 1 },
  { x: [1, 5, 5, 24], outputs: 20, side: 2, stride: 3, pad: 0 },
  { x: [2, 12, 12, 3], outputs: 40, side: 4, stride: 4, pad: 0 },
  { x: [1, 4, 4, 16], outputs: 16, side: 3, stride: 1, pad: 2 },
];

/** Tiles that reach over the border; more tiles than fit a block; channels in several pieces; small and large kernels. */
const WINOGRAD: Case[] = [
  { x: [1, 4, 4, 16], outputs: 16, side: 3, stride: 1, pad: 1 },
  { x: [2, 9, 7, 16], outputs: 48, side: 3, stride: 1, pad: 1 },
  { x: [3, 16, 16, 64], outputs: 64, side: 3, stride: 1, pad: 1 },
  { x: [4, 24, 24, 32], outputs: 96, side: 3, stride: 1, pad: 1 },
  { x: [1, 8, 8, 144], outputs: 160, side: 3, stride: 1, pad: 1 },
  { x: [5, 4, 4, 256], outputs: 128, side: 3, stride: 1, pad: 1 },
];

const named = (cases: Case[]) =>
  cases.map(
    (one) =>
      [`[${one.x}] ${one.side}x${one.side}/${one.stride} pad ${one.pad} to ${one.outputs}`, one] as const,
  );

const given = ({ x, outputs, side }: Case) => [
  seeded(1, x),
  seeded(2, [side, side, x[3], outputs], 1 / side, 0.05),
];

function own({ stride, pad }: Case) {
  return (...[x, kernel]: tf.Tensor[]) => convolve(x as tf.Tensor4D, kernel as tf.Tensor4D, stride, pad);
}

function plain({ stride, pad }: Case) {
  return (...[x, kernel]: tf.Tensor[]) => plainConvolve(x as tf.Tensor4D, kernel as tf.Tensor4D, stride, pad);
}

describe("a convolution of ours", () => {
  test("is there, and is what the network uses", () => {
    const { kernelNames } = profiled(() => own(PATCHES[1]!)(...given(PATCHES[1]!)));
    expect(kernelNames).toEqual(["FunmatchConvolution"]);
  });

  test.each(named(PATCHES))("as a matrix product: %s, values and gradients are TensorFlow's", (_, one) => {
    const [got, wanted] = [own(one), plain(one)].map((fn) => valueAndGradients(fn, given(one)));
    for (const [i, want] of wanted!.entries()) expect(relativeDifference(got![i]!, want)).toBeLessThan(2e-6);
  });

  test.each(named(WINOGRAD))(
    "by Winograd's algorithm: %s, values and gradients are TensorFlow's",
    (_, one) => {
      const [got, wanted] = [own(one), plain(one)].map((fn) => valueAndGradients(fn, given(one)));
      for (const [i, want] of wanted!.entries())
        expect(relativeDifference(got![i]!, want)).toBeLessThan(1e-5);
    },
  );

  test.each(named([PATCHES[1]!, PATCHES[7]!, WINOGRAD[2]!, WINOGRAD[5]!]))(
    "%s: the same bits each time, and each image as if it were alone",
    (_, one) => {
      const inputs = given(one);
      const all = valueAndGradients(own(one), inputs);
      expect(valueAndGradients(own(one), inputs)).toEqual(all);
      const last = tf.slice(inputs[0]!, [one.x[0] - 1, 0, 0, 0], [1, -1, -1, -1]);
      const alone = tf.tidy(() => own(one)(last, inputs[1]!).dataSync());
      expect([...all[0]!.slice(-alone.length)]).toEqual([...alone]);
    },
  );

  test.each(named([...PATCHES, ...WINOGRAD]))(
    "%s in bfloat16: the same of rounded images, rounded; the gradient by the kernel is not",
    (_, one) => {
      const [x, kernel] = given(one).map((tensor, i) => (i === 0 ? roundToBfloat16(tensor) : tensor)) as [
        tf.Tensor,
        tf.Tensor,
      ];
      const y = own(one)(x, kernel);
      const dy = roundToBfloat16(seeded(9, y.shape));
      const [dx, dkernel] = tf.grads(own(one))([x, kernel], dy) as [tf.Tensor, tf.Tensor];
      const integer = nativeBackend().binding.TF_ATTR_INT;
      const op = (
        name: string,
        attributes: Record<string, number>,
        inputs: tf.Tensor[],
        narrow: number[],
        result: number[],
      ) => {
        const all = Object.entries({ stride: one.stride, pad: one.pad, ...attributes });
        const attrs = all.map(([name, value]) => ({ name, type: integer, value }));
        return inBfloat16(`FunmatchConvolution${name}`, attrs, inputs, {
          inputs: narrow,
          outputs: result,
          of: 1,
        })[0];
      };
      const [height, width] = one.x.slice(1) as [number, number];
      const got = [
        op("", {}, [x, kernel], [0], [0]),
        op("ByInput", { height, width }, [dy, kernel], [0], [0]),
        op("ByKernel", { side: one.side }, [x, dy], [0, 1], []),
      ];
      for (const [i, wanted] of [y, dx, dkernel].entries())
        expect(relativeDifference(got[i]!, wanted.dataSync())).toBeLessThan(i < 2 ? 2 ** -8 : 2e-6);
    },
  );

  test.each(named([...PATCHES, ...WINOGRAD]))(
    "%s with a constant kernel, laid out once: the same bits",
    (_, one) => {
      const [x, kernel] = given(one) as [tf.Tensor4D, tf.Tensor4D];
      const another = tf.mul(kernel, -2) as tf.Tensor4D;
      // One operation computes them all: each must be given its own kernel's layout, whatever came before.
      for (const each of [kernel, kernel, another, kernel]) {
        const [found, expected] = [true, false].map((constant) =>
          tf.tidy(() => convolve(x, each, one.stride, one.pad, constant).dataSync()),
        );
        expect([...found!]).toEqual([...expected!]);
      }
    },
  );

  test("one thread and five compute the same bits", async () => {
    const [one, five] = await Promise.all(["1", "5"].map(digestWith));
    expect(one).toMatch(/^[0-9a-f]{64}$/);
    expect(five).toBe(one);
  });

  test("of no images is empty, and gives a kernel's gradient of zeros", () => {
    const [y, dx, dkernel] = valueAndGradients(own(WINOGRAD[0]!), [
      tf.zeros([0, 4, 4, 16]),
      seeded(1, [3, 3, 16, 16]),
    ]);
    expect([y!.length, dx!.length]).toEqual([0, 0]);
    expect([...dkernel!]).toEqual(new Array(9 * 16 * 16).fill(0));
  });

  test.each([
    ["another number of channels", [1, 4, 4, 3], [3, 3, 4, 8], /does not go with images of 3 channels/],
    ["a kernel that is not square", [1, 4, 4, 3], [3, 1, 3, 8], /does not go with images/],
    ["a kernel larger than the image", [1, 4, 4, 3], [7, 7, 3, 8], /a kernel of 7 does not fit 4 x 4 pixels/],
  ])("%s is refused", (_, x, kernel, message) => {
    expect(() => convolve(tf.ones(x as never), tf.ones(kernel as never), 1, 1)).toThrow(message);
  });
});

async function digestWith(threads: string): Promise<string> {
  const program = join(import.meta.dirname, "convolved.ts");
  const env = { ...process.env, TF_NUM_INTRAOP_THREADS: threads };
  return (await promisify(execFile)(process.execPath, [program], { env })).stdout;
}

function profiled(fn: () => tf.Tensor): { kernelNames: string[] } {
  const kernelNames: string[] = [];
  const engine = tf.engine() as unknown as { runKernel: (name: string, ...rest: unknown[]) => unknown };
  const run = engine.runKernel;
  engine.runKernel = function (name, ...rest) {
    kernelNames.push(name);
    return run.call(this, name, ...rest);
  };
  try {
    fn().dispose();
  } finally {
    engine.runKernel = run;
  }
  return { kernelNames };
}
