/** The float32 that a bfloat16 stands for: its upper half. Exact. */
export function widenBfloat16(source: Uint16Array, target: Float32Array, offset: number): void {
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < source.length; i++) bits[offset + i] = source[i]! << 16;
}

/** The float32 that an IEEE half stands for. Exact, infinities, NaN and subnormals included. */
export function widenFloat16(source: Uint16Array, target: Float32Array, offset: number): void {
  for (let i = 0; i < source.length; i++) {
    const half = source[i]!;
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    target[offset + i] =
      exponent === 0
        ? sign * fraction * 2 ** -24
        : exponent === 31
          ? fraction
            ? Number.NaN
            : sign * Number.POSITIVE_INFINITY
          : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
}

/** Rounds float32 to the nearest bfloat16, ties to even; NaN stays NaN. */
export function narrowToBfloat16(source: Float32Array): Uint16Array {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  const target = new Uint16Array(source.length);
  for (let i = 0; i < source.length; i++) {
    const b = bits[i]!;
    target[i] = Number.isNaN(source[i]) ? (b >>> 16) | 0x40 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
  }
  return target;
}
