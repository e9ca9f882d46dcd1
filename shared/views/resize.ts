import type { Box, Image } from "./image.ts";
import { nativePictures } from "./native.ts";

const CHANNELS = 3;

/**
 * Where the outputs along one side read from: output i lies between `low[i]` and `high[i]` (byte offsets from the
 * crop's corner), `weight[i]` of the way from the first to the second. Kept between calls, so that the hot path
 * allocates nothing.
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

/**
 * Half-pixel centres: output i looks at (i + 0.5) * from/to - 0.5, in float32 as TensorFlow computes it.
 * `step` is the distance in bytes from one source pixel to the next.
 */
function fillTaps(taps: Taps, from: number, to: number, step: number, reversed: boolean): void {
  const scale = Math.fround(from / to);
  for (let i = 0; i < to; i++) {
    const centre = Math.fround(Math.fround(i + 0.5) * scale);
    const at = Math.fround(centre - 0.5);
    const floor = Math.floor(at);
    const slot = reversed ? to - 1 - i : i;
    taps.low[slot] = Math.max(floor, 0) * step;
    taps.high[slot] = Math.min(Math.ceil(at), from - 1) * step;
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
  const native = nativePictures();
  if (native === undefined) {
    resizeInJavaScript(image, box, outHeight, outWidth, flip, out, offset);
    return;
  }
  const { y, x, height, width } = box;
  const mirrored = flip ? 1 : 0;
  native.resize(image.data, image.width, y, x, height, width, outHeight, outWidth, mirrored, out, offset);
}

/** The same where the engine cannot do it: {@link resizeBilinear} says what. */
export function resizeInJavaScript(
  image: Image,
  box: Box,
  outHeight: number,
  outWidth: number,
  flip: boolean,
  out: Uint8Array,
  offset: number,
): void {
  if (columns.low.length < outWidth) columns = makeTaps(outWidth);
  if (rows.low.length < outHeight) rows = makeTaps(outHeight);
  fillTaps(columns, box.width, outWidth, CHANNELS, flip);
  fillTaps(rows, box.height, outHeight, image.width * CHANNELS, false);
  const { data } = image;
  const corner = (box.y * image.width + box.x) * CHANNELS;
  const { low, high, weight } = columns;
  let to = offset;
  for (let y = 0; y < outHeight; y++) {
    const upper = corner + rows.low[y]!;
    const lower = corner + rows.high[y]!;
    const down = rows.weight[y]!;
    for (let x = 0; x < outWidth; x++) {
      const left = low[x]!;
      const right = high[x]!;
      const across = weight[x]!;
      for (let channel = 0; channel < CHANNELS; channel++) {
        const a = data[upper + left + channel]!;
        const b = data[upper + right + channel]!;
        const c = data[lower + left + channel]!;
        const d = data[lower + right + channel]!;
        out[to++] = between(a, b, c, d, across, down);
      }
    }
  }
}

/** The value between four neighbours, each step rounded to float32. */
function between(a: number, b: number, c: number, d: number, across: number, down: number): number {
  const top = Math.fround(a + Math.fround((b - a) * across));
  const bottom = Math.fround(c + Math.fround((d - c) * across));
  return Math.fround(top + Math.fround(Math.fround(bottom - top) * down));
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
