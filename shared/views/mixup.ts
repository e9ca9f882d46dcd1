import type { Draws } from "./draws.ts";
import { nativePictures } from "./native.ts";

/**
 * The share of the own image in a mixed batch: max(b, 1 - b) with b ~ Beta(p, p), so 0.5 to 1, rounded to float32.
 * p = 1 makes b uniform, as the paper uses it; p = 0 means no mixing and gives 1.
 */
export function mixupLambda(d: Draws, p: number): number {
  if (p === 0) return 1;
  const b = p === 1 ? d.uniform() : symmetricBeta(d, p);
  return Math.fround(Math.max(b, 1 - b));
}

/** Beta(p, p) as G1 / (G1 + G2) of two gamma numbers, by their logarithms, which tiny p do not underflow. */
function symmetricBeta(d: Draws, p: number): number {
  return 1 / (1 + Math.exp(-logGamma(d, p) + logGamma(d, p)));
}

/** The logarithm of a Gamma(shape, 1) number: Marsaglia and Tsang (2000), shapes below 1 by way of shape + 1. */
function logGamma(d: Draws, shape: number): number {
  if (shape < 1) return logGamma(d, shape + 1) + Math.log(1 - d.uniform()) / shape;
  const base = shape - 1 / 3;
  const spread = 1 / Math.sqrt(9 * base);
  for (;;) {
    const z = d.normal();
    const root = 1 + spread * z;
    if (root <= 0) continue;
    const cube = root ** 3;
    if (Math.log(1 - d.uniform()) < (z * z) / 2 + base - base * cube + base * Math.log(cube)) {
      return Math.log(base * cube);
    }
  }
}

/**
 * Mixes every image of a batch with the one before it (the first with the last):
 * `lambda * x + (1 - lambda) * roll(x, 1)` in float32, rounded half to even. These are the bytes that teacher and
 * student both see.
 *
 * @param batch uint8 [n, …], all images of one size; `out` is as long and must not share its bytes.
 * @param lambda of the whole batch, or of each image [n]
 */
export function mixup(batch: Uint8Array, n: number, lambda: number | Float32Array, out: Uint8Array): void {
  if (typeof lambda !== "number" && lambda.length !== n)
    throw new RangeError(`mixup of ${n} images with ${lambda.length} lambdas`);
  if (batch.length % n !== 0 || out.length !== batch.length) {
    throw new RangeError(`mixup of ${n} images: ${batch.length} bytes in, ${out.length} bytes out`);
  }
  const native = nativePictures();
  if (native === undefined) {
    mixInJavaScript(batch, n, lambda, out);
    return;
  }
  const size = batch.length / n;
  const imageIn = (bytes: Uint8Array, i: number) => bytes.subarray(i * size, (i + 1) * size);
  for (let i = 0; i < n; i++) {
    const previous = imageIn(batch, i === 0 ? n - 1 : i - 1);
    native.mix(
      imageIn(batch, i),
      previous,
      typeof lambda === "number" ? lambda : lambda[i]!,
      imageIn(out, i),
    );
  }
}

/** The same where the engine cannot do it: {@link mixup} says what. */
export function mixInJavaScript(
  batch: Uint8Array,
  n: number,
  lambda: number | Float32Array,
  out: Uint8Array,
): void {
  let [own, other] = shares(typeof lambda === "number" ? lambda : 1);
  const size = batch.length / n;
  // A clamped array rounds half to even as it stores.
  const rounded = new Uint8ClampedArray(out.buffer, out.byteOffset, out.length);
  for (let image = 0; image < n; image++) {
    if (typeof lambda !== "number") [own, other] = shares(lambda[image]!);
    const at = image * size;
    const previous = (image === 0 ? n - 1 : image - 1) * size;
    for (let i = 0; i < size; i++) {
      rounded[at + i] = Math.fround(own[batch[at + i]!]! + other[batch[previous + i]!]!);
    }
  }
}

/** What each byte value gives to the mix, as the own image's and as its partner's. */
function shares(lambda: number): [Float32Array, Float32Array] {
  return [products(Math.fround(lambda)), products(Math.fround(1 - Math.fround(lambda)))];
}

/** The share times each of the 256 byte values, in float32. */
function products(share: number): Float32Array {
  return Float32Array.from({ length: 256 }, (_, value) => Math.fround(value) * share);
}
