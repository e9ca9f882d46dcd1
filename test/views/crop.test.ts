import { type Box, centralCrop, draws, inceptionCrop, randomCrop } from "@funmatch/views";
import { expect, test } from "vitest";

const inside = ({ y, x, height, width }: Box, h: number, w: number) =>
  y >= 0 && x >= 0 && height > 0 && width > 0 && y + height <= h && x + width <= w;

test("inception crops lie inside pictures of any shape and keep area and aspect", () => {
  const d = draws(3, "shapes");
  for (let i = 0; i < 20_000; i++) {
    const [height, width] = [1 + d.below(300), 1 + d.below(300)];
    const box = inceptionCrop(d, height, width);
    expect(inside(box, height, width)).toBe(true);
    const whole = box.height === height && box.width === width;
    expect(whole || box.height * box.width >= 0.05 * height * width).toBe(true);
    // Whole pixels: the width is the height times the aspect, rounded.
    expect(whole || Math.abs(box.width - box.height) <= 0.33 * box.height + 0.5).toBe(true);
  }
});

test("a picture too long for any crop is taken whole", () => {
  expect(inceptionCrop(draws(0, "long"), 10, 1000)).toEqual({ y: 0, x: 0, height: 10, width: 1000 });
});

test("area and aspect can be chosen", () => {
  const d = draws(0, "chosen");
  for (let i = 0; i < 1000; i++) {
    const box = inceptionCrop(d, 400, 400, { area: [0.5, 0.6], aspect: [1, 1] });
    expect(box.width).toBe(box.height);
    expect(box.width ** 2 / 400 ** 2).toBeGreaterThanOrEqual(0.5);
    expect(box.width ** 2 / 400 ** 2).toBeLessThanOrEqual(0.6);
  }
});

test("random crops reach every place", () => {
  const d = draws(0, "places");
  const places = new Set(Array.from({ length: 1000 }, () => JSON.stringify(randomCrop(d, 7, 6, 5))));
  expect(places.size).toBe(3 * 2);
});

test("central crops leave the odd pixel below and on the right", () => {
  expect(centralCrop(9, 8, 5)).toEqual({ y: 2, x: 1, height: 5, width: 5 });
  expect(() => centralCrop(4, 8, 5)).toThrow("does not fit");
});
