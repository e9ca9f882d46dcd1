type Numbers = Uint8Array | Uint32Array | Int32Array | Float64Array;
type Kind<T extends Numbers> = { new (buffer: ArrayBufferLike): T; BYTES_PER_ELEMENT: number };

/** A column of an index while it is being filled: a flat array that grows, so that no entry is an object. */
export interface Column<T extends Numbers> {
  readonly length: number;
  push(value: number): void;
  append(values: ArrayLike<number>): void;
  /** A copy in memory that all threads share. */
  shared(): T;
}

/** Starts an empty column. */
export function column<T extends Numbers>(kind: Kind<T>): Column<T> {
  const allocate = (length: number, Memory: new (bytes: number) => ArrayBufferLike = ArrayBuffer) =>
    new kind(new Memory(length * kind.BYTES_PER_ELEMENT));
  let held = allocate(1024);
  let length = 0;

  function reserve(more: number): void {
    if (length + more <= held.length) return;
    const larger = allocate(Math.max(2 * held.length, length + more));
    larger.set(held);
    held = larger;
  }

  return {
    get length() {
      return length;
    },
    push(value) {
      reserve(1);
      held[length++] = value;
    },
    append(values) {
      reserve(values.length);
      held.set(values, length);
      length += values.length;
    },
    shared() {
      const copy = allocate(length, SharedArrayBuffer);
      copy.set(held.subarray(0, length));
      return copy;
    },
  };
}

/** Names one after the other in UTF-8: name i ends at `ends[i]` and begins where the one before it ends. */
export interface Names {
  bytes: Uint8Array;
  ends: Uint32Array;
}

/** Collects names. Ten million file names of 24 bytes take 280 MB, whatever the number of threads that share them. */
export function nameColumn(): { push(name: string): void; shared(): Names } {
  const bytes = column(Uint8Array);
  const ends = column(Uint32Array);
  return {
    push(name) {
      bytes.append(Buffer.from(name));
      if (bytes.length > 0xffff_ffff) throw new RangeError("The names of an index take more than 4 GiB");
      ends.push(bytes.length);
    },
    shared: () => ({ bytes: bytes.shared(), ends: ends.shared() }),
  };
}

/** The i-th name. */
export function nameAt({ bytes, ends }: Names, i: number): string {
  const start = i === 0 ? 0 : ends[i - 1]!;
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, ends[i]! - start).toString("utf8");
}
