import { resizeAntialiased } from "./resize-antialiased.ts";

/** How images of another size are brought to a network's: see the config's `resize`. */
export type ResizeRule = "none" | "bilinear" | "antialias";

/** Resizes one image [H,W,C] by a rule; see {@link resizeBilinear} and {@link resizeAntialiased}. */
export function resizeTo(rule: ResizeRule, ...image: Parameters<typeof resizeBilinear>): void {
  if (rule === "none") throw new Error("an image of another size came to a network that does not resize");
  if (rule === "antialias") resizeAntialiased(...image);
  else resizeBilinear(...image);
}

/** One axis of a bilinear resize: for each new place the two old ones between which it lies, and the share of the second. */
interface Axis {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly share: Float32Array;
}

/**
 * Resizes one image [H,W,C] bilinearly without antialiasing (pixel centres at halves), as the paper's code and
 * TensorFlow's `resize_images` do, in float32.
 *
 * @param from pixel units, row-major
 * @param to takes [size, size, C] from `offset` on
 */
export function resizeBilinear(
  from: Float32Array | Uint8Array,
  [height, width, channels]: readonly [number, number, number],
  size: number,
  to: Float32Array,
  offset: number,
): void {
  const rows = axis(height, size);
  const columns = axis(width, size);
  for (let y = 0; y < size; y++) {
    const top = rows.low[y]! * width;
    const bottom = rows.high[y]! * width;
    const down = rows.share[y]!;
    for (let x = 0; x < size; x++) {
      const left = columns.low[x]!;
      const right = columns.high[x]!;
      const across = columns.share[x]!;
      for (let c = 0; c < channels; c++) {
        const topLeft = from[(top + left) * channels + c]!;
        const topRight = from[(top + right) * channels + c]!;
        const bottomLeft = from[(bottom + left) * channels + c]!;
        const bottomRight = from[(bottom + right) * channels + c]!;
        const above = topLeft + (topRight - topLeft) * across;
        const below = bottomLeft + (bottomRight - bottomLeft) * across;
        to[offset + (y * size + x) * channels + c] = above + (below - above) * down;
      }
    }
  }
}

function axis(from: number, to: number): Axis {
  const low = new Int32Array(to);
  const high = new Int32Array(to);
  const share = new Float32Array(to);
  for (let i = 0; i < to; i++) {
    const place = ((i + 0.5) * from) / to - 0.5;
    const floor = Math.floor(place);
    low[i] = Math.max(floor, 0);
    high[i] = Math.min(floor + 1, from - 1);
    share[i] = place - floor;
  }
  return { low, high, share };
}
