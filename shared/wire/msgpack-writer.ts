/**
 * Writes the msgpack types that the API's messages are made of, each in its shortest encoding. Binaries are
 * written as their header only: the megabytes behind it are never copied by a packer. What does not fit the
 * API's messages is refused with WireError `malformed`.
 */
import { WireError } from "./problem.ts";

/** A map's header; its `entries` keys and values follow. */
export function packMap(entries: number): number[] {
  return [0x80 | small(entries)];
}

/** An array's header; its `elements` follow. */
export function packArray(elements: number): number[] {
  return [0x90 | small(elements)];
}

/** A string of fewer than 65,536 bytes. */
export function packString(text: string): number[] {
  const utf8 = new TextEncoder().encode(text);
  const size = utf8.length;
  if (size > 0xffff) throw unpackable(`a string of ${size} bytes is too long`);
  const head = size < 32 ? [0xa0 | size] : size < 256 ? [0xd9, size] : [0xda, ...bigEndian(size, 2)];
  return [...head, ...utf8];
}

/** An integer of 0 to 2^32 - 1. */
export function packUnsigned(value: number): number[] {
  checkUint32(value);
  if (value < 128) return [value];
  if (value < 256) return [0xcc, value];
  return value < 65_536 ? [0xcd, ...bigEndian(value, 2)] : [0xce, ...bigEndian(value, 4)];
}

/** The header of a binary of `size` bytes, which must follow it. */
export function packBinaryHead(size: number): number[] {
  checkUint32(size);
  if (size < 256) return [0xc4, size];
  return size < 65_536 ? [0xc5, ...bigEndian(size, 2)] : [0xc6, ...bigEndian(size, 4)];
}

function bigEndian(value: number, width: 2 | 4): number[] {
  const low = [(value >>> 8) & 0xff, value & 0xff];
  return width === 2 ? low : [(value >>> 24) & 0xff, (value >>> 16) & 0xff, ...low];
}

function small(size: number): number {
  if (size > 15) throw unpackable(`expected at most 15 entries, got ${size}`);
  return size;
}

function checkUint32(value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw unpackable(`expected an integer of 0 to 4294967295, got ${value}`);
  }
}

function unpackable(what: string): WireError {
  return new WireError("malformed", `cannot be packed: ${what}`);
}
