/** Positions of patches as a ViT keeps them: [1, side · side, C], row by row. */
export interface Positions {
  shape: number[];
  values: Float32Array;
}

/**
 * Learned positions for a grid of another size, linearly between the old ones and with the corners on the corners, as
 * big_vision does it (`scipy.ndimage.zoom` of order 1). What is no square grid of the same channels comes back as it is.
 */
export function resamplePositions({ shape, values }: Positions, wanted: readonly number[]): Positions {
  const channels = shape[2]!;
  const [from, to] = [shape, wanted].map((one) => Math.sqrt(one[1]!)) as [number, number];
  const fits = shape.length === 3 && wanted.length === 3 && channels === wanted[2];
  if (!fits || from === to || !Number.isInteger(from) || !Number.isInteger(to)) return { shape, values };
  const between = neighbours(from, to);
  const resampled = new Float32Array(to * to * channels);
  between.forEach((y, row) => {
    between.forEach((x, column) => {
      const at = (i: number, j: number, c: number) => values[(i * from + j) * channels + c]!;
      for (let c = 0; c < channels; c++) {
        const above = at(y.low, x.low, c) * (1 - x.share) + at(y.low, x.high, c) * x.share;
        const below = at(y.high, x.low, c) * (1 - x.share) + at(y.high, x.high, c) * x.share;
        resampled[(row * to + column) * channels + c] = above * (1 - y.share) + below * y.share;
      }
    });
  });
  return { shape: [...wanted], values: resampled };
}

/** Between which two of `from` places each of `to` lies, and the share of the second. */
function neighbours(from: number, to: number): { low: number; high: number; share: number }[] {
  return Array.from({ length: to }, (_, i) => {
    const place = to === 1 ? 0 : (i * (from - 1)) / (to - 1);
    const low = Math.min(Math.floor(place), from - 1);
    return { low, high: Math.min(low + 1, from - 1), share: place - low };
  });
}
