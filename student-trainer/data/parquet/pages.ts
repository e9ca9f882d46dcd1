import { UserError } from "@funmatch/config";
import type { PageHeader, RowGroup } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import type { ShardFile } from "../shard-file.ts";
import { type Codec, isKnown } from "./decompress.ts";
import type { FlatColumn } from "./schema.ts";
import { endOfThrift } from "./thrift-bounds.ts";

/** A page where it lies: its header, and the offset of its bytes. */
export interface Page {
  header: PageHeader;
  headerOffset: number;
  offset: number;
  /** The bytes of the header. */
  written: Uint8Array;
}

/** The pages of a column in a row group. */
export interface Chunk {
  codec: Codec;
  dictionary?: Page;
  data: (Page & { rows: number })[];
}

/** Headers are some dozens of bytes, but may hold the least and the largest value. */
const FIRST_TRY = 256;
const LONGEST_HEADER = 2 ** 24;
const LARGEST_PAGE = 2 ** 30;
const MOST_ROWS = 2 ** 24;

/**
 * Finds the pages of a column of a row group by their headers, without reading what is in them.
 *
 * @throws UserError naming the file and the place where it is not as it should be
 */
export function pagesOf(file: ShardFile, group: RowGroup, { path }: FlatColumn): Chunk {
  const name = path.join(".");
  const meta = group.columns.find(({ meta_data: one }) => one?.path_in_schema.join(".") === name)?.meta_data;
  const fail = (what: string): never => {
    throw new UserError(`${file.path}, column ${name}: ${what}`);
  };
  if (!meta) return fail("a row group lacks it");
  const { codec } = meta;
  if (!isKnown(codec)) return fail(`compressed by ${codec ?? "an unknown codec"}, which is not read`);
  const first = Number(meta.data_page_offset);
  const ahead = Number(meta.dictionary_page_offset ?? 0);
  const start = ahead > 0 && ahead < first ? ahead : first;
  const end = start + Number(meta.total_compressed_size);
  if (!(start >= 4 && end <= file.size)) fail(`bytes ${start} to ${end} of a file of ${file.size}`);

  const chunk: Chunk = { codec, data: [] };
  const rows = Number(group.num_rows);
  for (let at = start, found = 0; found < rows; ) {
    const page = readPage(file, at, end);
    const { header } = page;
    if (header.type === "DICTIONARY_PAGE") {
      if (chunk.dictionary || chunk.data.length > 0) fail(`byte ${at}: a second dictionary`);
      chunk.dictionary = page;
    } else if (header.type === "DATA_PAGE" || header.type === "DATA_PAGE_V2") {
      const here = (header.data_page_header_v2 ?? header.data_page_header)?.num_values ?? -1;
      if (!(here >= 0 && here <= Math.min(MOST_ROWS, rows - found)))
        fail(`byte ${at}: a page of ${here} rows, where ${rows - found} are left`);
      chunk.data.push({ ...page, rows: here });
      found += here;
    }
    at = page.offset + header.compressed_page_size;
  }
  return chunk;
}

/**
 * Reads the header of the page that begins at a byte.
 *
 * @param end where the bytes that it may lie in end
 * @throws UserError if there is none
 */
export function readPage(file: ShardFile, headerOffset: number, end: number): Page {
  const fail = (what: string): never => {
    throw new UserError(`${file.path}, byte ${headerOffset}: ${what}`);
  };
  const most = Math.min(end - headerOffset, LONGEST_HEADER);
  for (let length = FIRST_TRY; ; length *= 16) {
    if (most <= 0) fail("a page is missing");
    const bytes = file.read(headerOffset, Math.min(length, most));
    const { header, size } = parse(bytes, fail) ?? {};
    if (!header || !size) {
      if (length >= most) fail("the header of a page is cut off");
      continue;
    }
    const { compressed_page_size: compressed, uncompressed_page_size: uncompressed } = header;
    const offset = headerOffset + size;
    if (!(compressed >= 0 && compressed <= end - offset))
      fail(`a page of ${compressed} bytes reaches beyond`);
    if (!(uncompressed >= 0 && uncompressed <= LARGEST_PAGE))
      fail(`a page of ${uncompressed} bytes; smaller row groups or pages are needed`);
    return { header, headerOffset, offset, written: bytes.subarray(0, size) };
  }
}

function parse(
  bytes: Uint8Array,
  fail: (what: string) => never,
): { header: PageHeader; size: number } | undefined {
  try {
    const size = endOfThrift(bytes, 0);
    if (size === undefined) return undefined;
    const view = new DataView(bytes.buffer as ArrayBuffer, bytes.byteOffset, size);
    return { header: parquetHeader({ view, offset: 0 }), size };
  } catch (error) {
    return fail(`this is no page's header (${(error as Error).message})`);
  }
}
