/** Snappy's compressors cut their input into blocks of this size, and refer back only within one. */
export const BLOCK = 65_536;

/**
 * Finds the blocks in Snappy's raw format, from the headers of its elements.
 *
 * @param length of the uncompressed bytes
 * @returns where each block begins in `packed`, and where the last one ends; undefined if this was not compressed in
 *   blocks that stand for themselves
 * @throws Error if it is damaged
 */
export function snappyBlocks(packed: Uint8Array, length: number): Uint32Array | undefined {
  const starts = new Uint32Array(Math.ceil(length / BLOCK) + 1);
  let at = 0;
  while (packed[at]! >= 0x80) at++;
  at++;
  let done = 0;
  let block = 0;
  while (at < packed.length) {
    if (done === block * BLOCK) starts[block++] = at;
    else if (done > block * BLOCK) return undefined;
    const tag = packed[at]!;
    const kind = tag & 3;
    if (kind === 0) {
      const extra = Math.max(0, (tag >> 2) - 59);
      const size = 1 + (extra === 0 ? tag >> 2 : littleEndian(packed, at + 1, extra));
      at += 1 + extra + size;
      done += size;
    } else {
      const offset =
        kind === 1 ? ((tag >> 5) << 8) | packed[at + 1]! : littleEndian(packed, at + 1, kind === 2 ? 2 : 4);
      if (offset > done - (block - 1) * BLOCK) return undefined;
      at += kind === 3 ? 5 : 1 + kind;
      done += kind === 1 ? 4 + ((tag >> 2) & 7) : 1 + (tag >> 2);
    }
    if (done > length) break;
  }
  if (done !== length || at !== packed.length) throw new Error("damaged Snappy data");
  starts[block] = at;
  return block === starts.length - 1 ? starts : undefined;
}

function littleEndian(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = 0; i < count; i++) value += (bytes[at + i] ?? 0) * 256 ** i;
  return value;
}
