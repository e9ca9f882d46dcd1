const DEEPEST = 16;
/** A varint of 64 bits has at most ten bytes. */
const LONGEST_VARINT = 10;

// Types of fields in Thrift's compact protocol that Parquet uses.
const [TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12];

/**
 * Walks over a Thrift structure (compact protocol) that begins at `from`, before a parser allocates what it claims:
 * a list has at least a byte for each of its entries, and structures are not nested without end.
 *
 * @returns where the structure ends, or undefined if that is beyond the bytes
 * @throws Error for what no Parquet file holds
 */
export function endOfThrift(bytes: Uint8Array, from: number): number | undefined {
  let at = from;
  try {
    struct(0);
  } catch (error) {
    if (error === BEYOND) return undefined;
    throw error;
  }
  return at;

  function byte(): number {
    if (at >= bytes.length) throw BEYOND;
    return bytes[at++]!;
  }

  function varint(): number {
    let value = 0;
    for (let read = 0; read < LONGEST_VARINT; read++) {
      const next = byte();
      value += (next & 0x7f) * 2 ** (7 * read);
      if (next < 0x80) return value;
    }
    throw new Error("a number without an end");
  }

  function skip(length: number): void {
    if (at + length > bytes.length) throw BEYOND;
    at += length;
  }

  function struct(depth: number): void {
    if (depth > DEEPEST) throw new Error("structures nested too deep");
    for (;;) {
      const head = byte();
      const type = head & 0x0f;
      if (type === 0) return;
      if (head >> 4 === 0) varint();
      if (type !== TRUE && type !== FALSE) value(type, depth);
    }
  }

  function value(type: number, depth: number): void {
    if (type === BYTE || type === TRUE || type === FALSE) skip(1);
    else if (type === I16 || type === I32 || type === I64) varint();
    else if (type === DOUBLE) skip(8);
    else if (type === BINARY) skip(varint());
    else if (type === STRUCT) struct(depth + 1);
    else if (type === LIST) list(depth + 1);
    else throw new Error(`a value of the unknown type ${type}`);
  }

  function list(depth: number): void {
    if (depth > DEEPEST) throw new Error("lists nested too deep");
    const head = byte();
    const length = head >> 4 === 15 ? varint() : head >> 4;
    if (length > bytes.length - at) throw BEYOND;
    for (let i = 0; i < length; i++) value(head & 0x0f, depth);
  }
}

const BEYOND = new Error("the structure reaches beyond the bytes");
