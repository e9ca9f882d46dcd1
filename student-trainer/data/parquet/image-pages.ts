import type { ShardFile } from "../shard-file.ts";
import { type ByteArrays, byteArray, findByteArrays } from "./byte-arrays.ts";
import { dictionaryNumbers, isDictionaryEncoded, NULL, openDataPage, openDictionary } from "./data-page.ts";
import type { Codec } from "./decompress.ts";
import { readPage } from "./pages.ts";

/** A page of pictures: where its header is, and that of the dictionary of its chunk. */
export interface ImagePage {
  headerOffset: number;
  /** 0 if the chunk has none. */
  dictionaryOffset: number;
  codec: Codec;
  /** The definition level of a picture that is not null. */
  maxLevel: number;
}

/** Memory for what is known of pages that were opened, in bytes for each thread; a page that is larger is held alone. */
const MOST_HELD = 2 ** 26;

interface Opened {
  arrays?: ByteArrays;
  places?: Uint32Array;
  numbers?: Uint32Array;
  held: number;
}

/**
 * Makes a reader of the pictures in pages. Of the pages that it opened before it knows where their pictures lie, up to
 * a bound of memory.
 *
 * The reader answers with the bytes of the picture in a row of a page, undefined for a null. It throws Error if the
 * page is damaged, UserError if the file cannot be read.
 */
export function imageReader(): (file: ShardFile, page: ImagePage, row: number) => Uint8Array | undefined {
  /** By file and place; the last one is the one that was used last. */
  const opened = new Map<string, Opened>();
  let held = 0;

  function open(file: ShardFile, offset: number, find: () => Omit<Opened, "held">): Opened {
    const key = `${offset} ${file.path}`;
    const known = opened.get(key);
    opened.delete(key);
    const page = known ?? withMemory(find());
    if (!known) held += page.held;
    for (const [oldest, { held: freed }] of opened) {
      if (held <= MOST_HELD) break;
      opened.delete(oldest);
      held -= freed;
    }
    opened.set(key, page);
    return page;
  }

  return (file, page, row) => {
    const { places, numbers, arrays } = open(file, page.headerOffset, () => openRows(file, page));
    const place = places ? places[row]! : row;
    if (place === NULL) return undefined;
    if (!numbers) return byteArray(file, arrays!, place);
    const dictionary = open(file, page.dictionaryOffset, () => openPictures(file, page));
    return byteArray(file, dictionary.arrays!, numbers[place]!);
  };
}

function withMemory(found: Omit<Opened, "held">): Opened {
  const { arrays, places, numbers } = found;
  const sizes = [arrays?.starts, arrays?.lengths, places, numbers].map((one) => one?.byteLength ?? 0);
  return { ...found, held: sizes.reduce((sum, bytes) => sum + bytes, arrays?.bytes.held ?? 0) };
}

function openRows(file: ShardFile, { headerOffset, codec, maxLevel }: ImagePage): Omit<Opened, "held"> {
  const page = readPage(file, headerOffset, file.size);
  const data = openDataPage(file, page, codec, maxLevel);
  const { encoding, values, count, places } = data;
  if (isDictionaryEncoded(data)) return { places, numbers: dictionaryNumbers(file, data) };
  return { places, arrays: findByteArrays(file, encoding, values, count) };
}

function openPictures(file: ShardFile, { dictionaryOffset, codec }: ImagePage): Omit<Opened, "held"> {
  if (dictionaryOffset === 0) throw new Error("its dictionary is missing");
  const { values, count } = openDictionary(file, readPage(file, dictionaryOffset, file.size), codec);
  return { arrays: findByteArrays(file, "PLAIN", values, count) };
}
