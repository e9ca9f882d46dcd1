/** Buffers that go round between a lender and its borrowers. */
export interface Memory {
  /** A buffer of exactly this many bytes, with old contents if it was used before. */
  borrow(bytes: number): SharedArrayBuffer;
  /** @throws Error if the buffer is not lent out, so that no two batches ever share one. */
  giveBack(buffer: SharedArrayBuffer): void;
}

/** Shared memory for batches. V8 does not count shared memory, so buffers left to the collector would pile up. */
export function lendMemory(): Memory {
  const free: SharedArrayBuffer[] = [];
  const lent = new WeakSet<SharedArrayBuffer>();
  return {
    borrow(bytes) {
      const at = free.findIndex((buffer) => buffer.byteLength === bytes);
      const buffer = at < 0 ? new SharedArrayBuffer(bytes) : free.splice(at, 1)[0]!;
      lent.add(buffer);
      return buffer;
    },
    giveBack(buffer) {
      if (!lent.delete(buffer)) throw new Error("This batch was released before, or is not of this pool");
      free.push(buffer);
    },
  };
}
