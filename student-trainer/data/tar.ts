import { UserError } from "@funmatch/config";
import type { ShardFile } from "./shard-file.ts";

const BLOCK = 512;
/** Names and extended headers are short; a longer one is an attack or an accident. */
const LONGEST_HEADER = 2 ** 20;

/** A regular file in a tar: its bytes are `size` from `offset` on. */
export interface Member {
  name: string;
  offset: number;
  size: number;
}

/**
 * Lists the regular files of an uncompressed tar (ustar, pax and GNU long names), reading headers only. Folders,
 * links and devices are passed over. Nothing that a header says is believed beyond the end of the file.
 *
 * @throws UserError naming the tar and the place, for a damaged, cut, compressed or sparse one.
 */
export function* membersOf(tar: ShardFile): Generator<Member> {
  let longName: string | undefined;
  let longSize: number | undefined;
  for (let at = 0; at < tar.size; ) {
    const fail = (what: string): never => {
      throw new UserError(`${tar.path}, byte ${at}: ${what}`);
    };
    const header = tar.read(at, Math.min(BLOCK, tar.size - at));
    if (header[0] === 0x1f && header[1] === 0x8b && at === 0)
      fail("the shard is compressed; unpack it to an uncompressed .tar, so that any image can be read alone");
    if (header.length < BLOCK) fail("the tar is cut off within a header");
    if (header[0] === 0 && header.every((byte) => byte === 0)) return;
    if (!checksumFits(header)) fail("not a tar header (its checksum is wrong)");
    const type = String.fromCharCode(header[156] || 0x30);
    const named = numberIn(header.subarray(124, 136)) ?? fail("the size of a member is not a number");
    const isFile = type === "0" || type === "7";
    const size = isFile && longSize !== undefined ? longSize : named;
    const offset = at + BLOCK;
    if (offset + size > tar.size)
      fail(`a member of ${size} bytes reaches beyond the end: the tar is cut off`);
    const content = () => {
      if (size > LONGEST_HEADER) fail(`an extended header of ${size} bytes`);
      return tar.read(offset, size);
    };
    if (isFile) {
      yield { name: longName ?? nameIn(header), offset, size };
      longName = undefined;
      longSize = undefined;
    } else if (type === "L") longName = text(content());
    else if (type === "x") {
      const records = paxRecords(content()) ?? fail("a pax header is damaged");
      if ([...records.keys()].some((key) => key.startsWith("GNU.sparse"))) fail("sparse files are not read");
      longName = records.get("path") ?? longName;
      const given = records.get("size");
      if (given !== undefined && !/^\d{1,15}$/.test(given)) fail("a pax size is not a number");
      longSize = given === undefined ? undefined : Number(given);
    } else if (type === "S") fail("sparse files are not read");
    else if ("123456".includes(type)) {
      if (size > 0) fail("a link, device or folder with contents");
      longName = undefined;
      longSize = undefined;
    } else if (type !== "g" && type !== "K") fail(`a member of the unknown type ${JSON.stringify(type)}`);
    at = offset + Math.ceil(size / BLOCK) * BLOCK;
  }
}

function checksumFits(header: Uint8Array): boolean {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += header[i]!;
  return numberIn(header.subarray(148, 156)) === sum;
}

/** An octal number, or a big-endian one where the first bit is set (GNU, for members over 8 GiB). */
function numberIn(field: Uint8Array): number | undefined {
  if (field[0] === 0x80) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
    return Number.isSafeInteger(value) ? value : undefined;
  }
  const digits = text(field).trim();
  return /^[0-7]{1,12}$/.test(digits) ? Number.parseInt(digits, 8) : undefined;
}

function nameIn(header: Uint8Array): string {
  const name = text(header.subarray(0, 100));
  // "ustar" and a zero byte: POSIX; GNU keeps other things where POSIX has the prefix.
  const posix = text(header.subarray(257, 263)) === "ustar" && header[262] === 0;
  const prefix = posix ? text(header.subarray(345, 500)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** UTF-8 up to the first zero byte. */
function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString("utf8");
}

/** Records "length key=value\n", where length counts the whole record. */
function paxRecords(bytes: Uint8Array): Map<string, string> | undefined {
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const digits =
      space < 0 ? "" : Buffer.from(bytes.subarray(at, Math.min(space, at + 8))).toString("latin1");
    const length = /^\d{1,7}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    if (end > bytes.length || end < space + 3 || bytes[end - 1] !== 0x0a) return undefined;
    const record = Buffer.from(bytes.subarray(space + 1, end - 1)).toString("utf8");
    const equals = record.indexOf("=");
    if (equals < 1) return undefined;
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at = end;
  }
  return records;
}
