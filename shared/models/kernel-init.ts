import type { Normal } from "./network.ts";

/** Standard deviation of a standard normal cut off at ±2. */
const TRUNCATED_DEVIATION = 0.87962566103423978;

/** Truncated normal of variance 1 / fan-in (LeCun), as flax draws it. */
export function lecunNormal(name: string, count: number, fanIn: number, normal: Normal): Float32Array {
  const values = normal(name, count);
  // What falls outside ±2 is drawn again until nothing does.
  let outside = outsideTwo(values);
  for (let round = 1; outside.length > 0; round++) {
    const again = normal(`${name}#${round}`, outside.length);
    outside.forEach((at, i) => {
      values[at] = again[i]!;
    });
    outside = outside.filter((at) => Math.abs(values[at]!) > 2);
  }
  const factor = Math.sqrt(1 / fanIn) / TRUNCATED_DEVIATION;
  return values.map((z) => z * factor);
}

/**
 * Uniform in ±sqrt(6 / (fan-in + fan-out)) (Xavier, Glorot). Two normal numbers are a point whose direction is uniform:
 * its angle is what is drawn.
 */
export function xavierUniform(
  name: string,
  count: number,
  fans: { in: number; out: number },
  normal: Normal,
): Float32Array {
  const points = normal(name, 2 * count);
  const limit = Math.sqrt(6 / (fans.in + fans.out));
  return Float32Array.from(
    { length: count },
    (_, i) => (Math.atan2(points[2 * i]!, points[2 * i + 1]!) / Math.PI) * limit,
  );
}

/** Fans of a kernel whose last two axes are channels in and out, and those before them its window. */
export function fansOf(shape: readonly number[]): { in: number; out: number } {
  const window = shape.slice(0, -2).reduce((product, d) => product * d, 1);
  return { in: window * shape.at(-2)!, out: window * shape.at(-1)! };
}

function outsideTwo(values: Float32Array): number[] {
  const found: number[] = [];
  values.forEach((z, i) => {
    if (Math.abs(z) > 2) found.push(i);
  });
  return found;
}
