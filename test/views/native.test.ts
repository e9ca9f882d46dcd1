import { draws, type Image, mixup, resizeBilinear } from "@funmatch/views";
import { expect, test } from "vitest";
import { mixInJavaScript } from "../../shared/views/mixup.ts";
import { nativePictures } from "../../shared/views/native.ts";
import { resizeInJavaScript } from "../../shared/views/resize.ts";

/** The engine of every machine that runs the tests was compiled there, so it must have them. */
test("the engine has the functions for pictures, and FUNMATCH_KERNELS=plain leaves them out", async () => {
  expect(nativePictures()).toBeDefined();
  const { loadPictures } = await import("@funmatch/engine/pictures");
  expect(loadPictures({ ...process.env, FUNMATCH_KERNELS: "plain" })).toBeUndefined();
});

test("resizing gives the same bytes with and without the engine", () => {
  const d = draws(3, "resize");
  for (let i = 0; i < 300; i++) {
    const image = noise(1 + d.below(150), 1 + d.below(150));
    const [height, width] = [1 + d.below(image.height), 1 + d.below(image.width)];
    const box = { y: d.below(image.height - height + 1), x: d.below(image.width - width + 1), height, width };
    const [outHeight, outWidth, flip] = [1 + d.below(130), 1 + d.below(130), i % 2 === 0];
    const bytes = outHeight * outWidth * 3;
    const [expected, found] = [new Uint8Array(bytes + 9), new Uint8Array(new SharedArrayBuffer(bytes + 9))];
    resizeInJavaScript(image, box, outHeight, outWidth, flip, expected, 4);
    resizeBilinear(image, box, outHeight, outWidth, flip, found, 4);
    expect(Buffer.compare(expected, found)).toBe(0);
  }

  function noise(height: number, width: number): Image {
    return { height, width, data: Uint8Array.from({ length: height * width * 3 }, () => d.below(256)) };
  }
});

test("a box outside its picture, or a view outside its bytes, is an error and no read or write past the end", () => {
  const image = { height: 4, width: 5, data: new Uint8Array(60) };
  const out = new Uint8Array(2 * 2 * 3);
  const resize = (y: number, x: number, height: number, width: number, offset = 0) =>
    resizeBilinear(image, { y, x, height, width }, 2, 2, false, out, offset);
  for (const box of [
    [0, 0, 5, 5],
    [1, 0, 4, 5],
    [0, 1, 4, 5],
    [-1, 0, 2, 2],
    [0, -1, 2, 2],
    [0, 0, 0, 1],
  ] as [number, number, number, number][])
    expect(() => resize(...box)).toThrow(RangeError);
  expect(() => resize(0, 0, 4, 5, 1)).toThrow(RangeError);
  expect(() => resize(0, 0, 4, 5, -1)).toThrow(RangeError);
  resize(0, 0, 4, 5);
});

test("mixing gives the same bytes with and without the engine, for every pair of values", () => {
  const batch = new Uint8Array(2 * 65536);
  for (let i = 0; i < 65536; i++) {
    batch[i] = i & 255;
    batch[65536 + i] = i >> 8;
  }
  const d = draws(4, "mix");
  for (const lambda of [0, 0.5, 1, ...Array.from({ length: 40 }, () => Math.fround(d.uniform()))]) {
    const [expected, found] = [new Uint8Array(batch.length), new Uint8Array(batch.length)];
    mixInJavaScript(batch, 2, lambda, expected);
    mixup(batch, 2, lambda, found);
    expect(Buffer.compare(expected, found)).toBe(0);
  }
});
