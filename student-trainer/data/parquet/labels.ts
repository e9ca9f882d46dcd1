import { UserError } from "@funmatch/config";
import type { RowGroup } from "hyparquet";
import { deltaBinaryUnpack } from "hyparquet/src/delta.js";
import type { ShardFile } from "../shard-file.ts";
import { byteArray, findByteArrays } from "./byte-arrays.ts";
import {
  dictionaryNumbers,
  isDictionaryEncoded,
  NULL,
  openDataPage,
  openDictionary,
  viewOf,
} from "./data-page.ts";
import type { PageBytes } from "./page-bytes.ts";
import { pagesOf } from "./pages.ts";
import type { FlatColumn } from "./schema.ts";

/**
 * Reads the labels of a row group as text.
 *
 * @param push told of each row's label, in order
 * @throws UserError if a row has none, or the column is not as it should be
 */
export function readLabels(
  file: ShardFile,
  group: RowGroup,
  column: FlatColumn,
  push: (label: string) => void,
): void {
  const { codec, dictionary, data } = pagesOf(file, group, column);
  const fail = (what: string): never => {
    throw new UserError(`${file.path}, column ${column.path.join(".")}: ${what}`);
  };
  const find = (encoding: string, { values, count }: { values: PageBytes; count: number }) =>
    column.element.type === "BYTE_ARRAY"
      ? texts(file, encoding, values, count)
      : integers(file, encoding, values, count, column.element.type === "INT64" ? 8 : 4);
  try {
    const words = dictionary && find("PLAIN", openDictionary(file, dictionary, codec));
    for (const page of data) {
      const opened = openDataPage(file, page, codec, column.maxLevel);
      const { places } = opened;
      const numbers = isDictionaryEncoded(opened) ? dictionaryNumbers(file, opened) : undefined;
      const values = numbers ? words : find(opened.encoding, opened);
      for (let row = 0; row < page.rows; row++) {
        const place = places ? places[row]! : row;
        if (place === NULL) fail("a row has no label (null)");
        push(
          values?.(numbers ? numbers[place]! : place) ?? fail("damaged (a value is not in its dictionary)"),
        );
      }
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    fail(`damaged (${(error as Error).message})`);
  }
}

type Values = (i: number) => string | undefined;

function texts(file: ShardFile, encoding: string, bytes: PageBytes, count: number): Values {
  const found = findByteArrays(file, encoding, bytes, count);
  return (i) => (i < count ? Buffer.from(byteArray(file, found, i)).toString("utf8") : undefined);
}

function integers(file: ShardFile, encoding: string, bytes: PageBytes, count: number, width: 4 | 8): Values {
  const view = viewOf(bytes.slice(file, 0, bytes.length));
  if (encoding === "PLAIN") {
    if (count * width > view.byteLength) throw new Error(`${count} values in ${view.byteLength} bytes`);
    const at = (i: number) => (width === 8 ? view.getBigInt64(8 * i, true) : view.getInt32(4 * i, true));
    return (i) => (i < count ? String(at(i)) : undefined);
  }
  if (encoding !== "DELTA_BINARY_PACKED") throw new Error(`encoded as ${encoding}, which is not read`);
  const values = width === 8 ? new BigInt64Array(count) : new Int32Array(count);
  if (count > 0) deltaBinaryUnpack({ view, offset: 0 }, count, values);
  return (i) => (i < count ? String(values[i]) : undefined);
}
