import type { Image } from "./image.ts";
import { roundHalfEven } from "./round.ts";

const CHANNELS = 3;

/**
 * Resizes a picture so that its shorter side has `size` pixels, keeping its aspect, by averaging the area that each
 * output pixel covers (float32, truncated to uint8): big_vision's `resize_small`, TensorFlow's `ResizeArea`.
 */
export function resizeSmall(image: Image, size: number): Image {
  const factor = Math.fround(size / Math.min(image.height, image.width));
  const height = roundHalfEven(Math.fround(image.height * factor));
  const width = roundHalfEven(Math.fround(image.width * factor));
  return resizeArea(image, height, width);
}

/** For every output position along one side: the first source position it covers and the cover of each from there on. */
interface Cover {
  first: Int32Array;
  count: Int32Array;
  /** [outputs, most]: how much of each covered source pixel counts, 0..1 (or the whole scale when enlarging). */
  share: Float32Array;
  most: number;
}

function coverOf(to: number, scale: number): Cover {
  const most = Math.ceil(scale) + 2;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const share = new Float32Array(to * most);
  for (let i = 0; i < to; i++) {
    const start = Math.fround(i * scale);
    const end = Math.fround((i + 1) * scale);
    first[i] = Math.floor(start);
    count[i] = Math.ceil(end) - first[i]!;
    for (let k = 0; k < count[i]!; k++) {
      const at = first[i]! + k;
      const startsInside = at < start;
      const endsInside = at + 1 > end;
      if (startsInside) share[i * most + k] = endsInside ? scale : at + 1 - start;
      else share[i * most + k] = endsInside ? end - at : 1;
    }
  }
  return { first, count, share, most };
}

function resizeArea(image: Image, height: number, width: number): Image {
  const { data } = image;
  const yScale = Math.fround(image.height / height);
  const xScale = Math.fround(image.width / width);
  const rows = coverOf(height, yScale);
  const columns = coverOf(width, xScale);
  const normaliser = Math.fround(1 / Math.fround(yScale * xScale));
  const out = new Uint8Array(height * width * CHANNELS);
  const fround = Math.fround;
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let j = 0; j < rows.count[y]!; j++) {
        // The last cover may reach past the edge by a rounding error: the edge pixel stands in.
        const row = Math.min(rows.first[y]! + j, image.height - 1) * image.width;
        let rowRed = 0;
        let rowGreen = 0;
        let rowBlue = 0;
        for (let i = 0; i < columns.count[x]!; i++) {
          const at = (row + Math.min(columns.first[x]! + i, image.width - 1)) * CHANNELS;
          const wide = columns.share[x * columns.most + i]!;
          rowRed = fround(rowRed + fround(data[at]! * wide));
          rowGreen = fround(rowGreen + fround(data[at + 1]! * wide));
          rowBlue = fround(rowBlue + fround(data[at + 2]! * wide));
        }
        const tall = rows.share[y * rows.most + j]!;
        red = fround(red + fround(rowRed * tall));
        green = fround(green + fround(rowGreen * tall));
        blue = fround(blue + fround(rowBlue * tall));
      }
      out[to++] = fround(red * normaliser);
      out[to++] = fround(green * normaliser);
      out[to++] = fround(blue * normaliser);
    }
  }
  return { height, width, data: out };
}
