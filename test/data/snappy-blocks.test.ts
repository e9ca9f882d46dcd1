import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { snappyUncompress } from "hyparquet";
import { describe, expect, test } from "vitest";
import { openPage } from "../../student-trainer/data/parquet/page-bytes.ts";
import { BLOCK, snappyBlocks } from "../../student-trainer/data/parquet/snappy-blocks.ts";
import { withShard } from "../../student-trainer/data/shard-file.ts";
import { temporaryFolder } from "./pictures.ts";

const bytes = (count: number) => Uint8Array.from({ length: count }, (_, i) => (i * i) >> 3);

/** An element of bytes that stand for themselves. */
function literal(content: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head[0] = 62 << 2; // three bytes of length follow
  head.writeUIntLE(content.length - 1, 1, 3);
  return Buffer.concat([head, content]);
}

/** An element that repeats `length` (up to 64) bytes from `offset` before. */
function copy(offset: number, length: number): Buffer {
  const element = Buffer.alloc(5);
  element[0] = ((length - 1) << 2) | 3;
  element.writeUInt32LE(offset, 1);
  return element;
}

/** Elements after the length that Snappy's raw format begins with. */
function snappy(length: number, ...elements: Buffer[]): Buffer {
  const preamble = [(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14];
  return Buffer.concat([Buffer.from(preamble), ...elements]);
}

const LENGTH = 5 * BLOCK + 100;
const [first, rest] = [bytes(LENGTH).subarray(0, BLOCK), bytes(LENGTH).subarray(BLOCK)];
const blocks = Array.from({ length: 5 }, (_, i) => literal(rest.subarray(i * BLOCK, (i + 1) * BLOCK)));

describe("Snappy's blocks", () => {
  test("are found where compressors begin them anew", () => {
    const starts = snappyBlocks(snappy(LENGTH, literal(first), ...blocks), LENGTH);
    expect([...starts!]).toEqual([
      3,
      ...[1, 2, 3, 4, 5].map((i) => 3 + i * (BLOCK + 4)),
      3 + 5 * (BLOCK + 4) + 104,
    ]);
  });

  test("are not assumed where an element spans two, or refers to one before", () => {
    expect(snappyBlocks(snappy(LENGTH, literal(bytes(LENGTH))), LENGTH)).toBeUndefined();
    const referring = snappy(BLOCK + 64, literal(first), copy(BLOCK, 64));
    expect(snappyBlocks(referring, BLOCK + 64)).toBeUndefined();
    expect(
      snappyBlocks(snappy(BLOCK + 64, literal(first), literal(bytes(32)), copy(32, 32)), BLOCK + 64),
    ).toHaveLength(3);
  });

  test.each([
    ["cut off", snappy(LENGTH, literal(first), ...blocks).subarray(0, 200_000)],
    ["too short", snappy(LENGTH, literal(first))],
    ["too long", snappy(LENGTH, literal(first), ...blocks, literal(first))],
  ])("of data that is %s are refused", (_, packed) => {
    expect(() => snappyBlocks(packed, LENGTH)).toThrow("damaged Snappy data");
  });
});

describe("a page's bytes", () => {
  test.each([
    ["read block by block", [literal(first), ...blocks]],
    [
      "decompressed whole, where a block refers to the one before",
      [literal(first), copy(BLOCK, 64), ...others()],
    ],
  ])("%s are the same", (_, elements) => {
    const packed = snappy(LENGTH, ...elements);
    const whole = new Uint8Array(LENGTH);
    snappyUncompress(packed, whole);
    const path = join(temporaryFolder(), "page");
    writeFileSync(path, Buffer.concat([Buffer.alloc(7), packed]));
    expect(readFileSync(path).length).toBe(7 + packed.length);
    withShard(path, (file) => {
      const page = openPage(file, {
        offset: 7,
        compressed: packed.length,
        uncompressed: LENGTH,
        codec: "SNAPPY",
      });
      for (const [from, to] of [
        [0, 4],
        [BLOCK - 2, BLOCK + 2],
        [100, 3 * BLOCK + 5],
        [LENGTH - 1, LENGTH],
        [9, 9],
      ] as const)
        expect(Buffer.from(page.slice(file, from, to)).equals(whole.subarray(from, to))).toBe(true);
      for (const [from, to] of [
        [-1, 4],
        [5, 4],
        [0, LENGTH + 1],
      ] as const)
        expect(() => page.slice(file, from, to)).toThrow("beyond its page");
    });
  });

  function others(): Buffer[] {
    return [literal(rest.subarray(64))];
  }
});
