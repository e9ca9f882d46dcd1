/**
 * A strict msgpack reader for the few types that the API's messages are made of: maps, arrays, strings,
 * integers and binaries, in any of their legal encodings. It looks at one value at a time, never recurses,
 * and allocates nothing by a length that the message merely claims.
 */
import { WireError } from "./problem.ts";

/** A place in a message. `end` is where reading must stop, `cut` says why it stops there. */
export interface Cursor {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly end: number;
  readonly cut: string;
  at: number;
}

/** Starts reading `bytes` up to `end`. */
export function cursor(bytes: Uint8Array, end: number, cut: string): Cursor {
  const { buffer, byteOffset, byteLength } = bytes;
  // A plain view even of a subclass, such as Node's Buffer, whose methods mean other things.
  const plain = new Uint8Array(buffer, byteOffset, byteLength);
  return { bytes: plain, view: new DataView(buffer, byteOffset, byteLength), end, cut, at: 0 };
}

/** The error of a message that is not as it should be: what, where, and the byte at which it shows. */
export function malformed(place: string, what: string, at: number): WireError {
  return new WireError("malformed", `${place}: ${what} at byte ${at}`);
}

/** Number of entries of the map here; moves to its first key. */
export function readMapSize(c: Cursor, place: string): number {
  return readSize(c, place, MAP);
}

/** Number of elements of the array here; moves to the first. */
export function readArraySize(c: Cursor, place: string): number {
  return readSize(c, place, ARRAY);
}

/** Number of bytes of the binary here, as it claims; moves to its first byte. */
export function readBinarySize(c: Cursor, place: string): number {
  return readSize(c, place, BINARY);
}

/** The string here, at most `maxBytes` of UTF-8; moves behind it. */
export function readString(c: Cursor, place: string, maxBytes: number): string {
  const start = c.at;
  const size = readSize(c, place, STRING);
  if (size > maxBytes) {
    throw malformed(place, `expected a string of at most ${maxBytes} bytes, got ${size}`, start);
  }
  need(c, place, size);
  // A copy, because not every TextDecoder reads shared memory.
  const copy = c.bytes.slice(c.at, c.at + size);
  c.at += size;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(copy);
  } catch {
    throw malformed(place, "expected UTF-8", start);
  }
}

/** The integer here, which must be 1 to `max`; moves behind it. */
export function readPositiveInteger(c: Cursor, place: string, max: number): number {
  const start = c.at;
  const value = readInteger(c, place);
  if (value < 1) throw malformed(place, `expected a positive integer, got ${value}`, start);
  if (value > max) throw malformed(place, `expected at most ${max}, got ${value}`, start);
  return value;
}

/** Quotes what a message said, shortened and with control characters escaped, for an error's detail. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

/** Throws unless `count` more bytes can be read. */
export function need(c: Cursor, place: string, count: number): void {
  if (count > c.end - c.at) throw malformed(place, c.cut, c.end);
}

/** A family of msgpack types: how its size is written into the lead byte, or into the bytes after it. */
interface Family {
  readonly name: string;
  readonly fix?: { readonly base: number; readonly max: number };
  /** lead byte -> bytes of the size that follows it */
  readonly sized: ReadonlyMap<number, number>;
}

const MAP: Family = {
  name: "a map",
  fix: { base: 0x80, max: 15 },
  sized: new Map([
    [0xde, 2],
    [0xdf, 4],
  ]),
};
const ARRAY: Family = {
  name: "an array",
  fix: { base: 0x90, max: 15 },
  sized: new Map([
    [0xdc, 2],
    [0xdd, 4],
  ]),
};
const STRING: Family = {
  name: "a string",
  fix: { base: 0xa0, max: 31 },
  sized: new Map([
    [0xd9, 1],
    [0xda, 2],
    [0xdb, 4],
  ]),
};
const BINARY: Family = {
  name: "a binary",
  sized: new Map([
    [0xc4, 1],
    [0xc5, 2],
    [0xc6, 4],
  ]),
};

function readSize(c: Cursor, place: string, family: Family): number {
  need(c, place, 1);
  const lead = c.view.getUint8(c.at);
  const { fix } = family;
  if (fix !== undefined && lead >= fix.base && lead <= fix.base + fix.max) {
    c.at += 1;
    return lead - fix.base;
  }
  const width = family.sized.get(lead);
  if (width === undefined) throw malformed(place, `expected ${family.name}, got ${kindOf(lead)}`, c.at);
  need(c, place, 1 + width);
  const size = readUnsigned(c.view, c.at + 1, width);
  c.at += 1 + width;
  return size;
}

/** The integer here as a number; beyond 2^53 only its magnitude is right, which is all that a bound needs. */
function readInteger(c: Cursor, place: string): number {
  need(c, place, 1);
  const lead = c.view.getUint8(c.at);
  if (lead <= 0x7f || lead >= 0xe0) {
    c.at += 1;
    return lead <= 0x7f ? lead : lead - 0x100;
  }
  if (lead < 0xcc || lead > 0xd3) throw malformed(place, `expected an integer, got ${kindOf(lead)}`, c.at);
  const width = 1 << (lead & 3); // cc..cf and d0..d3 are 1, 2, 4 and 8 bytes wide
  need(c, place, 1 + width);
  const at = c.at + 1;
  c.at = at + width;
  return lead <= 0xcf ? readUnsigned(c.view, at, width) : readSigned(c.view, at, width);
}

function readUnsigned(view: DataView, at: number, width: number): number {
  if (width === 1) return view.getUint8(at);
  if (width === 2) return view.getUint16(at);
  if (width === 4) return view.getUint32(at);
  return Number(view.getBigUint64(at));
}

function readSigned(view: DataView, at: number, width: number): number {
  if (width === 1) return view.getInt8(at);
  if (width === 2) return view.getInt16(at);
  if (width === 4) return view.getInt32(at);
  return Number(view.getBigInt64(at));
}

/** What a lead byte announces, in words. */
function kindOf(lead: number): string {
  for (const { name, fix, sized } of [MAP, ARRAY, STRING, BINARY]) {
    if (sized.has(lead) || (fix !== undefined && lead >= fix.base && lead <= fix.base + fix.max)) return name;
  }
  if (lead === 0xc0) return "nil";
  if (lead === 0xc2 || lead === 0xc3) return "a boolean";
  if (lead === 0xca || lead === 0xcb) return "a float";
  if ((lead >= 0xc7 && lead <= 0xc9) || (lead >= 0xd4 && lead <= 0xd8)) return "an extension type";
  if (lead === 0xc1) return "the byte 0xc1, which msgpack does not use";
  return "an integer";
}
