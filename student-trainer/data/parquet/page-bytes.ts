import { snappyUncompress } from "hyparquet";
import type { ShardFile } from "../shard-file.ts";
import { type Codec, decompress } from "./decompress.ts";
import { BLOCK, snappyBlocks } from "./snappy-blocks.ts";

/** The uncompressed bytes of a page, of which any part can be had. */
export interface PageBytes {
  length: number;
  /** Memory that is held for them, in bytes. */
  held: number;
  /** Bytes `from` … `to` - 1, read from `file` if they are not held. */
  slice(file: ShardFile, from: number, to: number): Uint8Array;
}

/** Where a page's bytes lie in its file, and how. */
export interface PagePlace {
  offset: number;
  compressed: number;
  uncompressed: number;
  codec: Codec;
}

/** Pages up to this size are not worth reading in parts. */
const SMALL = 4 * BLOCK;

/**
 * Opens a page. What is stored uncompressed is left on the disk. Of Snappy, whose writers compress blocks of 64 KiB
 * each for itself, only the blocks' places are kept and only the blocks that hold an image are decompressed: so files
 * as they are usually published can be read at random. Pages of other codecs are decompressed whole and held.
 *
 * @throws Error if they cannot be decompressed
 */
export function openPage(file: ShardFile, { offset, compressed, uncompressed, codec }: PagePlace): PageBytes {
  if (codec === "UNCOMPRESSED") {
    if (compressed !== uncompressed) throw new Error(`${compressed} bytes instead of ${uncompressed}`);
    const slice = (from: ShardFile, start: number, end: number) => from.read(offset + start, end - start);
    return checked({ length: uncompressed, held: 0, slice });
  }
  const packed = file.read(offset, compressed);
  const blocks = codec === "SNAPPY" && uncompressed > SMALL ? snappyBlocks(packed, uncompressed) : undefined;
  if (blocks) return checked(bytesOfBlocks(offset, uncompressed, blocks));
  const plain = decompress(codec, packed, uncompressed);
  return checked({
    length: plain.length,
    held: plain.length,
    slice: (_, from, to) => plain.subarray(from, to),
  });
}

/** The bytes of a page from `start` on. */
export function rest(bytes: PageBytes, start: number): PageBytes {
  return checked({
    length: bytes.length - start,
    held: bytes.held,
    slice: (file, from, to) => bytes.slice(file, start + from, start + to),
  });
}

function checked(bytes: PageBytes): PageBytes {
  return {
    ...bytes,
    slice(file, from, to) {
      if (!(from >= 0 && from <= to && to <= bytes.length))
        throw new Error("a value reaches beyond its page");
      return bytes.slice(file, from, to);
    },
  };
}

/** The block that was decompressed last: a page's values are found one after the other. */
let last: { starts: Uint32Array; number: number; bytes: Uint8Array } | undefined;

/** @param starts where each block begins in the compressed page, and where the last one ends */
function bytesOfBlocks(offset: number, length: number, starts: Uint32Array): PageBytes {
  function blockOf(file: ShardFile, number: number): Uint8Array {
    if (last?.starts === starts && last.number === number) return last.bytes;
    const packed = file.read(offset + starts[number]!, starts[number + 1]! - starts[number]!);
    const bytes = new Uint8Array(Math.min(BLOCK, length - number * BLOCK));
    // The decoder skips a length before the elements, which a block has not: any byte below 128 is one.
    snappyUncompress(Buffer.concat([Uint8Array.of(0), packed]), bytes);
    last = { starts, number, bytes };
    return bytes;
  }

  return {
    length,
    held: starts.byteLength,
    slice(file, from, to) {
      const slice = new Uint8Array(to - from);
      for (let at = from; at < to; ) {
        const number = Math.floor(at / BLOCK);
        const end = Math.min(to, (number + 1) * BLOCK);
        slice.set(blockOf(file, number).subarray(at - number * BLOCK, end - number * BLOCK), at - from);
        at = end;
      }
      return slice;
    },
  };
}
