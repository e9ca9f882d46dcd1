/** Msgpack written by hand, with a free choice among its legal encodings, for messages good and bad. */

export type Bytes = Uint8Array<ArrayBuffer>;

export function join(...parts: (Uint8Array | number[])[]): Bytes {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function bytesOfHex(hex: string): Bytes {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function bigEndian(value: number | bigint, width: number): number[] {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt.asUintN(64, BigInt(value)));
  return [...new Uint8Array(view.buffer, 8 - width)];
}

/** Encodings by growing width; a width too small for the value gives way to the first that fits. */
function sized(size: number, width: number, forms: [limit: number, form: () => number[]][]): number[] {
  const fitting = forms.filter(([limit]) => size < limit);
  const chosen = fitting[Math.max(0, width - (forms.length - fitting.length))] ?? fitting.at(-1);
  return chosen![1]();
}

const LIMIT_32 = 2 ** 32;

export function mapHead(size: number, width = 0): number[] {
  return sized(size, width, [
    [16, () => [0x80 | size]],
    [65_536, () => [0xde, ...bigEndian(size, 2)]],
    [LIMIT_32, () => [0xdf, ...bigEndian(size, 4)]],
  ]);
}

export function arrayHead(size: number, width = 0): number[] {
  return sized(size, width, [
    [16, () => [0x90 | size]],
    [65_536, () => [0xdc, ...bigEndian(size, 2)]],
    [LIMIT_32, () => [0xdd, ...bigEndian(size, 4)]],
  ]);
}

export function text(value: string, width = 0): number[] {
  const utf8 = [...new TextEncoder().encode(value)];
  const size = utf8.length;
  const head = sized(size, width, [
    [32, () => [0xa0 | size]],
    [256, () => [0xd9, size]],
    [65_536, () => [0xda, ...bigEndian(size, 2)]],
    [LIMIT_32, () => [0xdb, ...bigEndian(size, 4)]],
  ]);
  return [...head, ...utf8];
}

export function binaryHead(size: number, width = 0): number[] {
  return sized(size, width, [
    [256, () => [0xc4, size]],
    [65_536, () => [0xc5, ...bigEndian(size, 2)]],
    [LIMIT_32, () => [0xc6, ...bigEndian(size, 4)]],
  ]);
}

/** Widths 0 to 4 are fixint, uint8..uint64; 5 to 8 are int8..int64, as Go's and Rust's libraries write. */
export function integer(value: number, width = 0): number[] {
  if (value < 0) return width < 8 ? [0xd2, ...bigEndian(value, 4)] : [0xd3, ...bigEndian(value, 8)];
  const unsigned = (): number[] =>
    sized(value, width, [
      [128, () => [value]],
      [256, () => [0xcc, value]],
      [65_536, () => [0xcd, ...bigEndian(value, 2)]],
      [LIMIT_32, () => [0xce, ...bigEndian(value, 4)]],
      [2 ** 64, () => [0xcf, ...bigEndian(value, 8)]],
    ]);
  const signed = (): number[] =>
    sized(value, width - 5, [
      [128, () => [0xd0, value]],
      [32_768, () => [0xd1, ...bigEndian(value, 2)]],
      [2 ** 31, () => [0xd2, ...bigEndian(value, 4)]],
      [2 ** 63, () => [0xd3, ...bigEndian(value, 8)]],
    ]);
  return width < 5 ? unsigned() : signed();
}

/** A key and its packed value. */
export type Entry = [key: string, value: number[]];

export function map(...entries: Entry[]): number[] {
  return [...mapHead(entries.length), ...entries.flatMap(([key, value]) => [...text(key), ...value])];
}

export function shape(...dimensions: number[]): number[] {
  return [...arrayHead(dimensions.length), ...dimensions.flatMap((d) => integer(d))];
}

export function binary(data: Uint8Array): number[] {
  return [...binaryHead(data.length), ...data];
}

export const DIGEST = `sha256:${"0123456789abcdef".repeat(4)}`;
export const PIXELS = Uint8Array.from({ length: 12 }, (_, i) => i);

/** The parts of a correct small request, to be changed one at a time. */
export function imageEntries(changes: Partial<Record<"dtype" | "shape" | "data", number[]>> = {}): Entry[] {
  return [
    ["dtype", changes.dtype ?? text("uint8")],
    ["shape", changes.shape ?? shape(1, 2, 2, 3)],
    ["data", changes.data ?? binary(PIXELS)],
  ];
}

export function requestEntries(
  changes: Partial<Record<"purpose" | "digest" | "images", number[]>> = {},
): Entry[] {
  return [
    ["purpose", changes.purpose ?? text("train")],
    ["digest", changes.digest ?? text(DIGEST)],
    ["images", changes.images ?? map(...imageEntries())],
  ];
}

export function request(changes: Parameters<typeof requestEntries>[0] = {}): Bytes {
  return Uint8Array.from(map(...requestEntries(changes)));
}

export function requestOfImages(changes: Parameters<typeof imageEntries>[0]): Bytes {
  return request({ images: map(...imageEntries(changes)) });
}
