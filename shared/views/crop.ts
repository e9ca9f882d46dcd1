import type { Draws } from "./draws.ts";
import type { Box } from "./image.ts";
import { roundHalfEven } from "./round.ts";

const ATTEMPTS = 100;

/** Bounds of an inception crop: share of the picture's area, and width over height. */
export interface CropRange {
  area?: [number, number];
  aspect?: [number, number];
}

/**
 * The aggressive crop of the paper: a random part of `area` of the picture with a random width/height ratio in
 * `aspect`. It draws like TensorFlow's `sample_distorted_bounding_box` without a minimum object: the aspect is
 * uniform, then the *height* is uniform between the least and the greatest that area and picture allow (so small
 * areas are likelier than large ones), then the position, which never touches the last row or column unless the crop
 * fills that side. After 100 failed tries (very long pictures) the crop is the whole picture.
 */
export function inceptionCrop(
  d: Draws,
  height: number,
  width: number,
  { area = [0.05, 1], aspect = [0.75, 1.33] }: CropRange = {},
): Box {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const ratio = aspect[0] + d.uniform() * (aspect[1] - aspect[0]);
    const size = randomSize(d, height, width, ratio, area[0] * height * width, area[1] * height * width);
    if (size === undefined) continue;
    const y = size.height < height ? d.below(height - size.height) : 0;
    const x = size.width < width ? d.below(width - size.width) : 0;
    return { y, x, ...size };
  }
  return { y: 0, x: 0, height, width };
}

/** A random size of the given width/height ratio inside the picture with an area in [minArea, maxArea] pixels. */
function randomSize(
  d: Draws,
  pictureHeight: number,
  pictureWidth: number,
  ratio: number,
  minArea: number,
  maxArea: number,
): { height: number; width: number } | undefined {
  const widthOf = (height: number) => roundHalfEven(height * ratio);
  let greatest = roundHalfEven(Math.sqrt(maxArea / ratio));
  if (widthOf(greatest) > pictureWidth) {
    greatest = Math.floor((pictureWidth + 0.5) / ratio);
    if (widthOf(greatest) > pictureWidth) greatest--;
  }
  greatest = Math.min(greatest, pictureHeight);
  const least = Math.min(roundHalfEven(Math.sqrt(minArea / ratio)), greatest);
  let height = least + (least < greatest ? d.below(greatest - least + 1) : 0);
  // Rounding may leave the area just outside its bounds: one row more or less may mend it.
  if (height * widthOf(height) < minArea) height++;
  if (height * widthOf(height) > maxArea) height--;
  const width = widthOf(height);
  const pixels = height * width;
  const fits = pixels > 0 && pixels >= minArea && pixels <= maxArea;
  return fits && width <= pictureWidth && height <= pictureHeight ? { height, width } : undefined;
}

/** A square of `size` pixels at a uniformly random place (every place possible). */
export function randomCrop(d: Draws, height: number, width: number, size: number): Box {
  checkFits(height, width, size);
  return { y: d.below(height - size + 1), x: d.below(width - size + 1), height: size, width: size };
}

/** The square of `size` pixels in the middle; odd remainders leave the larger margin below and on the right. */
export function centralCrop(height: number, width: number, size: number): Box {
  checkFits(height, width, size);
  return { y: Math.floor((height - size) / 2), x: Math.floor((width - size) / 2), height: size, width: size };
}

function checkFits(height: number, width: number, size: number): void {
  if (size > height || size > width) {
    throw new RangeError(
      `A crop of ${size}x${size} does not fit a picture of ${height}x${width} (height x width)`,
    );
  }
}
