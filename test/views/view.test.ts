import {
  type CropRange,
  drawFraming,
  draws,
  type Image,
  mixup,
  mixupLambda,
  uncroppedSide,
  writeCentralView,
  writeFramed,
  writeView,
} from "@funmatch/views";
import { describe, expect, test } from "vitest";

/** A picture whose red channel grows to the right and whose green channel grows downwards. */
function ramps(height: number, width: number): Image {
  const data = new Uint8Array(height * width * 3);
  for (let i = 0; i < height * width; i++) {
    data[i * 3] = Math.floor(((i % width) * 255) / (width - 1));
    data[i * 3 + 1] = Math.floor((Math.floor(i / width) * 255) / (height - 1));
  }
  return { height, width, data };
}

const SIDE = 16;
const BYTES = SIDE * SIDE * 3;
const redAt = (view: Uint8Array, y: number, x: number) => view[(y * SIDE + x) * 3]!;

test("the resized view is the whole picture, whatever is drawn", () => {
  const view = new Uint8Array(BYTES);
  writeView("rs", ramps(60, 80), draws(0, "view", 0, 1), SIDE, view, 0);
  expect(redAt(view, 0, 0)).toBeLessThan(10);
  expect(redAt(view, 0, SIDE - 1)).toBeGreaterThan(245);
});

test.each(["ic", "rc"] as const)("a framing of %s shows the same at twice the resolution", (kind) => {
  const image = ramps(60, 80);
  for (let index = 0; index < 50; index++) {
    const framing = drawFraming(kind, image, draws(0, "view", 0, index), SIDE);
    const [small, large] = [new Uint8Array(BYTES), new Uint8Array(4 * BYTES)];
    writeFramed(image, framing, SIDE, small, 0);
    writeFramed(image, framing, 2 * SIDE, large, 0);
    for (const [y, x] of [
      [0, 0],
      [5, 11],
      [15, 15],
    ] as const)
      for (const channel of [0, 1]) {
        const mean = [0, 1, 2 * SIDE, 2 * SIDE + 1]
          .map((shift) => large[(2 * y * 2 * SIDE + 2 * x + shift) * 3 + channel]!)
          .reduce((a, b) => a + b / 4, 0);
        // A pixel is 16 levels of a ramp at most: less than half of one apart.
        expect(Math.abs(mean - small[(y * SIDE + x) * 3 + channel]!)).toBeLessThan(6);
      }
  }
});

describe.each(["ic", "rc"] as const)("training view %s", (kind) => {
  const image = ramps(60, 80);
  const viewOf = (index: number) => {
    const out = new Uint8Array(BYTES);
    writeView(kind, image, draws(0, "view", 0, index), SIDE, out, 0);
    return out;
  };

  test("the same seed, epoch and image give the same bytes, others do not", () => {
    expect(viewOf(1)).toEqual(viewOf(1));
    expect(viewOf(1)).not.toEqual(viewOf(2));
  });

  test("every second view is flipped", () => {
    const views = Array.from({ length: 2000 }, (_, i) => viewOf(i));
    const flipped = views.filter((view) => redAt(view, 0, 0) > redAt(view, 0, SIDE - 1)).length;
    expect(Math.abs(flipped / 2000 - 0.5)).toBeLessThan(0.04);
  });

  test("writes its own place and nothing else", () => {
    const out = new Uint8Array(3 * BYTES).fill(7);
    writeView(kind, image, draws(0, "view", 0, 1), SIDE, out, BYTES);
    expect(out.subarray(BYTES, 2 * BYTES)).toEqual(viewOf(1));
    expect([...out.subarray(0, BYTES), ...out.subarray(2 * BYTES)].every((value) => value === 7)).toBe(true);
  });

  test("does not write beyond its batch", () => {
    const out = new Uint8Array(BYTES);
    expect(() => writeView(kind, image, draws(0, "view", 0, 1), SIDE, out, 1)).toThrow(RangeError);
  });
});

test("the central view is the middle of the picture, symmetric for a symmetric picture", () => {
  expect(uncroppedSide(128)).toBe(160);
  const view = new Uint8Array(BYTES);
  writeCentralView(ramps(40, 80), SIDE, view, 0);
  const [left, right] = [redAt(view, 0, 0), redAt(view, 0, SIDE - 1)];
  expect(left).toBeGreaterThan(60); // a 40x80 picture becomes 20x40: 12 of 40 columns are left of the crop
  expect(Math.abs(left + right - 255)).toBeLessThanOrEqual(2);
});

test("the side that a central view is cut from can be chosen: the resolution itself cuts nothing off", () => {
  const view = new Uint8Array(BYTES);
  writeCentralView(ramps(40, 40), SIDE, view, 0, SIDE);
  expect(redAt(view, 0, 0)).toBeLessThan(10);
  expect(redAt(view, 0, SIDE - 1)).toBeGreaterThan(245);
});

test("the bounds of the inception crop can be chosen: all of a square picture, flipped or not", () => {
  const view = new Uint8Array(BYTES);
  const crop = { area: [1, 1], aspect: [1, 1] } satisfies CropRange;
  for (let index = 0; index < 20; index++) {
    writeView("ic", ramps(40, 40), draws(0, "view", 0, index), SIDE, view, 0, crop);
    const edges = [redAt(view, 0, 0), redAt(view, 0, SIDE - 1)].sort((a, b) => a - b);
    expect(edges[0]).toBeLessThan(10);
    expect(edges[1]).toBeGreaterThan(245);
  }
});

describe("mixup", () => {
  test("lambda is b folded to 0.5 … 1, with Beta(p, p)'s variance 1 / (4 (2p + 1)) about 1/2", () => {
    for (const p of [0.2, 1, 3]) {
      const lambdas = Array.from({ length: 50_000 }, (_, step) => mixupLambda(draws(0, "mixup", step), p));
      expect(lambdas.every((lambda) => lambda >= 0.5 && lambda <= 1 && lambda === Math.fround(lambda))).toBe(
        true,
      );
      const variance = lambdas.reduce((sum, lambda) => sum + (lambda - 0.5) ** 2, 0) / lambdas.length;
      expect(variance / (1 / (4 * (2 * p + 1)))).toBeCloseTo(1, 1);
    }
  });

  test("p = 0 mixes nothing", () => expect(mixupLambda(draws(0, "mixup", 1), 0)).toBe(1));

  test("each image may have a lambda of its own", () => {
    const out = new Uint8Array(3);
    mixup(Uint8Array.of(100, 0, 200), 3, Float32Array.of(1, 0.75, 0.5), out);
    expect([...out]).toEqual([100, 25, 100]);
    expect(() => mixup(new Uint8Array(3), 3, Float32Array.of(1), out)).toThrow("3 images with 1 lambdas");
  });

  test("the partner is the previous image, halves round to even", () => {
    const out = new Uint8Array(3);
    mixup(Uint8Array.of(1, 2, 5), 3, 0.5, out);
    expect([...out]).toEqual([3, 2, 4]); // (1+5)/2 = 3, (2+1)/2 = 1.5 -> 2, (5+2)/2 = 3.5 -> 4
  });
});
