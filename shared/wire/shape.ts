/** Shapes on the wire: read, and held against the number of bytes that they stand for. */
import { type Cursor, malformed, readArraySize, readPositiveInteger } from "./msgpack-reader.ts";

/** The largest binary that msgpack can hold, and so the largest of any dimension and of their product. */
export const MOST_BYTES = 0xffff_ffff;

/** Reads an array of exactly `rank` positive integers. */
export function readShape(c: Cursor, place: string, rank: number): number[] {
  const start = c.at;
  const size = readArraySize(c, place);
  if (size !== rank) throw malformed(place, `expected ${rank} dimensions, got ${size}`, start);
  const shape: number[] = [];
  for (let i = 0; i < rank; i++) shape.push(readPositiveInteger(c, `${place}[${i}]`, MOST_BYTES));
  return shape;
}

/** Bytes that an array of this shape takes; undefined if no message could hold them. */
export function bytesOf(shape: readonly number[], bytesPerElement: number): number | undefined {
  let bytes = bytesPerElement;
  for (const dimension of shape) {
    bytes *= dimension; // at most (2^32)^2, of which a double still knows that it is too large
    if (bytes > MOST_BYTES) return undefined;
  }
  return bytes;
}
