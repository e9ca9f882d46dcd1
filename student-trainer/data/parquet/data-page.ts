import type { PageHeader } from "hyparquet";
import { readRleBitPackedHybrid } from "hyparquet/src/encoding.js";
import type { ShardFile } from "../shard-file.ts";
import type { Codec } from "./decompress.ts";
import { openPage, type PageBytes, rest } from "./page-bytes.ts";

/** A page of rows, opened. */
export interface DataPage {
  encoding: string;
  /** The encoded values, without those that are null. */
  values: PageBytes;
  count: number;
  /** The number of each row's value among the values; NULL for a null. Absent if no row is null. */
  places?: Uint32Array;
}

/** The place of a value that is null. */
export const NULL = 0xffff_ffff;

/**
 * Opens a page of a column without repetition.
 *
 * @param maxLevel the definition level of a value that is not null
 * @throws Error if it is damaged
 */
export function openDataPage(
  file: ShardFile,
  page: { header: PageHeader; offset: number },
  codec: Codec,
  maxLevel: number,
): DataPage {
  const { header, offset } = page;
  const place = {
    offset,
    compressed: header.compressed_page_size,
    uncompressed: header.uncompressed_page_size,
  };
  const second = header.data_page_header_v2;
  if (second) {
    const { num_values: rows, definition_levels_byte_length: length, encoding } = second;
    const before = length + second.repetition_levels_byte_length;
    if (!(length >= 0 && before >= length && before <= Math.min(place.compressed, place.uncompressed)))
      throw new Error("levels beyond the page");
    const levels = file.read(offset + before - length, length);
    const values = openPage(file, {
      offset: offset + before,
      compressed: place.compressed - before,
      uncompressed: place.uncompressed - before,
      codec: second.is_compressed === false ? "UNCOMPRESSED" : codec,
    });
    return { encoding, values, ...placesOf(levels, rows, maxLevel) };
  }
  const { num_values: rows, encoding } = header.data_page_header!;
  const bytes = openPage(file, { ...place, codec });
  if (maxLevel === 0) return { encoding, values: bytes, count: rows };
  const length = viewOf(bytes.slice(file, 0, 4)).getUint32(0, true);
  const levels = bytes.slice(file, 4, 4 + length);
  return { encoding, values: rest(bytes, 4 + length), ...placesOf(levels, rows, maxLevel) };
}

/**
 * Opens the page of the values that other pages of its chunk give by number.
 *
 * @throws Error if it is damaged
 */
export function openDictionary(
  file: ShardFile,
  { header, offset }: { header: PageHeader; offset: number },
  codec: Codec,
): { values: PageBytes; count: number } {
  const { compressed_page_size: compressed, uncompressed_page_size: uncompressed } = header;
  const count = header.dictionary_page_header?.num_values ?? -1;
  if (!(count >= 0 && count <= uncompressed)) throw new Error(`a dictionary of ${count} values`);
  return { values: openPage(file, { offset, compressed, uncompressed, codec }), count };
}

/** Definition levels tell which rows have a value. */
function placesOf(
  bytes: Uint8Array,
  rows: number,
  maxLevel: number,
): { count: number; places?: Uint32Array } {
  if (maxLevel === 0) return { count: rows };
  const places = new Uint32Array(rows);
  readRleBitPackedHybrid({ view: viewOf(bytes), offset: 0 }, bitsFor(maxLevel), places, bytes.length);
  let count = 0;
  for (let row = 0; row < rows; row++) places[row] = places[row] === maxLevel ? count++ : NULL;
  return count === rows ? { count } : { count, places };
}

function bitsFor(most: number): number {
  return 32 - Math.clz32(most);
}

/** Whether the values of a page are numbers of values in the chunk's dictionary. */
export function isDictionaryEncoded({ encoding }: Pick<DataPage, "encoding">): boolean {
  return encoding === "RLE_DICTIONARY" || encoding === "PLAIN_DICTIONARY";
}

/** The numbers in the dictionary of a page's values. */
export function dictionaryNumbers(file: ShardFile, { values, count }: DataPage): Uint32Array {
  const numbers = new Uint32Array(count);
  if (count === 0) return numbers;
  const bytes = values.slice(file, 0, values.length);
  const bits = viewOf(bytes).getUint8(0);
  if (bits > 32) throw new Error(`numbers of ${bits} bits`);
  if (bits > 0) readRleBitPackedHybrid({ view: viewOf(bytes), offset: 1 }, bits, numbers, bytes.length - 1);
  return numbers;
}

/** A view of exactly these bytes, so that reading beyond them throws. */
export function viewOf(bytes: Uint8Array): DataView<ArrayBuffer> {
  return new DataView(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
}
