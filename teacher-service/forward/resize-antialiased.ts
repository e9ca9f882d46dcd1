/** One axis: output i is the sum over k < taps[i] of share[i·most + k] · input[first[i] + k]. */
interface Axis {
  readonly first: Int32Array;
  readonly taps: Int32Array;
  readonly most: number;
  readonly share: Float32Array;
}

/**
 * Resizes one image [H,W,C] bilinearly with antialiasing: where it shrinks, the triangle filter is as wide as the
 * pixels that it stands for, as in PIL and in `tf.image.resize(antialias=True)`; where it grows, this is plain bilinear.
 *
 * @param from pixel units, row-major
 * @param to takes [size, size, C] from `offset` on
 */
export function resizeAntialiased(
  from: Float32Array | Uint8Array,
  [height, width, channels]: readonly [number, number, number],
  size: number,
  to: Float32Array,
  offset: number,
): void {
  const across = axis(width, size);
  const down = axis(height, size);
  const rowLength = size * channels;
  const wide = new Float32Array(height * rowLength);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < size; x++)
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        const start = (y * width + across.first[x]!) * channels + c;
        for (let k = 0; k < across.taps[x]!; k++)
          sum += across.share[x * across.most + k]! * from[start + k * channels]!;
        wide[y * rowLength + x * channels + c] = sum;
      }
  for (let y = 0; y < size; y++)
    for (let i = 0; i < rowLength; i++) {
      let sum = 0;
      const start = down.first[y]! * rowLength + i;
      for (let k = 0; k < down.taps[y]!; k++)
        sum += down.share[y * down.most + k]! * wide[start + k * rowLength]!;
      to[offset + y * rowLength + i] = sum;
    }
}

/** The triangle's shares add up to 1 also where the image's border cuts it. */
function axis(from: number, to: number): Axis {
  const scale = from / to;
  const reach = Math.max(1, scale);
  const most = 2 * Math.ceil(reach) + 1;
  const first = new Int32Array(to);
  const taps = new Int32Array(to);
  const share = new Float32Array(to * most);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const low = Math.max(0, Math.floor(centre - reach));
    const weights = Array.from({ length: Math.min(most, from - low) }, (_, k) =>
      Math.max(0, 1 - Math.abs(low + k + 0.5 - centre) / reach),
    );
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    first[i] = low;
    taps[i] = weights.length;
    share.set(
      weights.map((weight) => weight / total),
      i * most,
    );
  }
  return { first, taps, most, share };
}
