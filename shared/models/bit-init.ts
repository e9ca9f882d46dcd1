import { type BitConfig, bitShapes, type Weights } from "./bit-config.ts";

/** Standard deviation of a standard normal cut off at ±2. */
const TRUNCATED_DEVIATION = 0.87962566103423978;

/**
 * A fresh model, drawn as big_vision draws it: kernels truncated normal with variance 1 / fan-in (LeCun), GroupNorm
 * scale 1 and bias 0, head zero.
 *
 * @param normal gives `count` standard normal numbers for a name; the same name must give the same numbers
 */
export function initBit(config: BitConfig, normal: (name: string, count: number) => Float32Array): Weights {
  const weights: Weights = {};
  for (const [name, shape] of Object.entries(bitShapes(config))) {
    const count = shape.reduce((product, d) => product * d, 1);
    const values =
      shape.length === 4 && name.endsWith("/kernel")
        ? lecunNormal(name, count, count / shape[3]!, normal)
        : new Float32Array(count).fill(name.endsWith("/scale") ? 1 : 0);
    weights[name] = { shape, values };
  }
  return weights;
}

function lecunNormal(
  name: string,
  count: number,
  fanIn: number,
  normal: (name: string, count: number) => Float32Array,
): Float32Array {
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

function outsideTwo(values: Float32Array): number[] {
  const found: number[] = [];
  values.forEach((z, i) => {
    if (Math.abs(z) > 2) found.push(i);
  });
  return found;
}
