import { Packr } from "msgpackr";
import { WireError } from "./problem.ts";

/** Plain maps and arrays only, so that any language's msgpack can read them. */
const packr = new Packr({ useRecords: false, variableMapSize: true, encodeUndefinedAsNil: true });
const EMPTY_BINARY_BYTES = 2;

/**
 * Packs a message whose last value is a binary of `size` bytes, up to where that binary's own bytes begin: the
 * megabytes behind it are never copied by a packer.
 *
 * @param message ends with an empty `Uint8Array`, which stands for the binary
 * @throws WireError `malformed` for a size that msgpack cannot hold
 */
export function packUpToBinary(message: object, size: number): Uint8Array<ArrayBuffer> {
  const packed = packr.pack(message);
  const head = binaryHead(size);
  const out = new Uint8Array(packed.length - EMPTY_BINARY_BYTES + head.length);
  out.set(packed.subarray(0, packed.length - EMPTY_BINARY_BYTES));
  out.set(head, out.length - head.length);
  return out;
}

function binaryHead(size: number): number[] {
  if (!Number.isInteger(size) || size < 0 || size > 0xffff_ffff)
    throw new WireError("malformed", `cannot be packed: a binary of ${size} bytes`);
  if (size < 256) return [0xc4, size];
  const low = [(size >>> 8) & 0xff, size & 0xff];
  return size < 65_536 ? [0xc5, ...low] : [0xc6, size >>> 24, (size >>> 16) & 0xff, ...low];
}
