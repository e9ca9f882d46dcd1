import type { Box, Image } from "./image.ts";

const CHANNELS = 3;

/**
 * Where the outputs along one side read from: output i is `source[low[i]]` and `source[high[i]]` weighted by
 * `weight[i]` (the share of the second). Kept between calls, so that the hot path allocates nothing.
 */
interface Taps {
  low: Int32Array;
  high: Int32Array;
  weight: Float32Array;
}

function makeTaps(length: number): Taps {
  return { low: new Int32Array(length), high: new Int32Array(length), weight: new Float32Array(length) };
}

let columns = makeTaps(256);
let rows = makeTaps(256);

/** Half-pixel centres: output i looks at (i + 0.5) * from/to - 0.5, in float32 as TensorFlow computes it. */
function fillTaps(taps: Taps, from: number, to: number, reversed: boolean): void {
  const scale = Math.fround(from / to);
  for (let i = 0; i < to; i++) {
    const centre = Math.fround(Math.fround(i + 0.5) * scale);
    const at = Math.fround(centre - 0.5);
    const floor = Math.floor(at);
    const slot = reversed ? to - 1 - i : i;
    taps.low[slot] = Math.max(floor, 0);
    taps.high[slot] = Math.min(Math.ceil(at), from - 1);
    taps.weight[slot] = at - floor;
  }
}

/**
 * Cuts `box` out of a picture, resizes it to [outHeight, outWidth], flips it left-right if asked, and writes the RGB
 * bytes into `out` from `offset` on, all in one pass.
 *
 * Bilinear with half-pixel centres and without antialiasing, computed in float32 and truncated to uint8: what
 * `tf.cast(tf.image.resize(crop, size), tf.uint8)` gives. The box must lie inside the picture.
 */
export function resizeBilinear(
  image: Image,
  box: Box,
  outHeight: number,
  outWidth: number,
  flip: boolean,
  out: Uint8Array,
  offset: number,
): void {
  if (offset + outHeight * outWidth * CHANNELS > out.length) {
    throw new RangeError(
      `${outHeight}x${outWidth} RGB pixels from ${offset} on do not fit ${out.length} bytes`,
    );
  }
  if (columns.low.length < outWidth) columns = makeTaps(outWidth);
  if (rows.low.length < outHeight) rows = makeTaps(outHeight);
  fillTaps(columns, box.width, outWidth, flip);
  fillTaps(rows, box.height, outHeight, false);
  const { data, width } = image;
  const fround = Math.fround;
  const { low, high, weight } = columns;
  let to = offset;
  for (let y = 0; y < outHeight; y++) {
    const upper = ((box.y + rows.low[y]!) * width + box.x) * CHANNELS;
    const lower = ((box.y + rows.high[y]!) * width + box.x) * CHANNELS;
    const down = rows.weight[y]!;
    for (let x = 0; x < outWidth; x++) {
      const left = low[x]! * CHANNELS;
      const right = high[x]! * CHANNELS;
      const across = weight[x]!;
      for (let channel = 0; channel < CHANNELS; channel++) {
        const a = data[upper + left + channel]!;
        const b = data[lower + left + channel]!;
        const top = fround(a + fround((data[upper + right + channel]! - a) * across));
        const bottom = fround(b + fround((data[lower + right + channel]! - b) * across));
        out[to++] = fround(top + fround(fround(bottom - top) * down));
      }
    }
  }
}

/** The whole picture resized to [height, width] by {@link resizeBilinear}. */
export function resize(image: Image, height: number, width: number): Image {
  const data = new Uint8Array(height * width * CHANNELS);
  resizeBilinear(image, wholeOf(image), height, width, false, data, 0);
  return { height, width, data };
}

/** The box that covers a whole picture. */
export function wholeOf(image: Image): Box {
  return { y: 0, x: 0, height: image.height, width: image.width };
}
