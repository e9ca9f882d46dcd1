import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { widenBfloat16, widenFloat16 } from "./half.ts";
import { ArrayFileError, byteLength, type NpyDtype, type NpyHeader, readNpyHeader } from "./npy-header.ts";

export type NpyData = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;

/** An array as numpy stores it, row-major. `dtype` is the stored one: halves are widened to float32 on reading. */
export interface NpyArray {
  dtype: NpyDtype;
  shape: number[];
  data: NpyData;
}

/**
 * Reads one array from the bytes of a `.npy` file, which come piece by piece: the only large allocation is the
 * result, made after its size was found equal to what the file holds.
 *
 * @param size bytes of the whole file, header included
 * @param where file and array, for messages
 * @throws ArrayFileError for pickles, unknown dtypes, and sizes that contradict each other
 */
export async function readNpyStream(
  source: AsyncIterable<Buffer>,
  size: number,
  where: string,
): Promise<NpyArray> {
  let head = Buffer.alloc(0);
  let header: NpyHeader | undefined;
  let sink: Sink | undefined;
  for await (const chunk of source) {
    if (sink) {
      sink.push(chunk);
      continue;
    }
    head = Buffer.concat([head, chunk]);
    header = readNpyHeader(head, where);
    if (!header) continue;
    const claimed = byteLength(header);
    if (header.dataOffset + claimed !== size)
      throw new ArrayFileError(
        `${where}: shape [${header.shape}] of ${header.dtype} takes ${claimed} bytes, the file holds ${size - header.dataOffset}`,
      );
    sink = openSink(header, where);
    sink.push(head.subarray(header.dataOffset));
  }
  if (!header || !sink) throw new ArrayFileError(`${where}: ends inside its header`);
  if (sink.filled() !== byteLength(header)) throw new ArrayFileError(`${where}: is cut short`);
  const { dtype, shape, fortranOrder } = header;
  return { dtype, shape, data: fortranOrder ? rowMajor(sink.data, shape) : sink.data };
}

/** Reads a single array file (`numpy.save`). */
export async function readNpy(path: string): Promise<NpyArray> {
  const { size } = await stat(path).catch(() => {
    throw new ArrayFileError(`there is no array file ${path}`);
  });
  return readNpyStream(createReadStream(path), size, path);
}

interface Sink {
  data: NpyData;
  push(chunk: Buffer): void;
  /** Bytes of the file taken in so far. */
  filled(): number;
}

function openSink(header: NpyHeader, where: string): Sink {
  const count = header.shape.reduce((product, d) => product * d, 1);
  try {
    return header.dtype === "float16" || header.dtype === "bfloat16"
      ? wideningSink(count, header.dtype === "float16" ? widenFloat16 : widenBfloat16)
      : copyingSink(header.dtype, byteLength(header));
  } catch (error) {
    if (error instanceof RangeError) throw new ArrayFileError(`${where}: does not fit into memory`);
    throw error;
  }
}

function copyingSink(dtype: NpyDtype, bytes: number): Sink {
  const buffer = new ArrayBuffer(bytes);
  const target = new Uint8Array(buffer);
  const data =
    dtype === "float32"
      ? new Float32Array(buffer)
      : dtype === "float64"
        ? new Float64Array(buffer)
        : dtype === "int32"
          ? new Int32Array(buffer)
          : dtype === "int64"
            ? new BigInt64Array(buffer)
            : target;
  let at = 0;
  return {
    data,
    push(chunk) {
      // More bytes than announced are the caller's size check to find; here they only must not be written.
      target.set(chunk.subarray(0, bytes - at), at);
      at += chunk.length;
    },
    filled: () => at,
  };
}

/** Widens while the bytes come in, so that two-byte files never exist twice in memory. */
function wideningSink(
  count: number,
  widen: (source: Uint16Array, target: Float32Array, offset: number) => void,
): Sink {
  const data = new Float32Array(count);
  let at = 0;
  let odd: Buffer = Buffer.alloc(0);
  return {
    data,
    push(chunk) {
      const bytes = odd.length ? Buffer.concat([odd, chunk]) : chunk;
      const whole = bytes.length >> 1;
      const aligned = new Uint8Array(bytes.subarray(0, whole * 2));
      const fitting = new Uint16Array(aligned.buffer, 0, Math.max(0, Math.min(whole, count - at)));
      widen(fitting, data, at);
      at += whole;
      odd = bytes.subarray(whole * 2);
    },
    filled: () => at * 2 + odd.length,
  };
}

/** Reorders a Fortran-ordered array (first index fastest) to row-major. */
function rowMajor(data: NpyData, shape: number[]): NpyData {
  const out = data.slice() as NpyData;
  const strides = shape.map((_, i) => shape.slice(0, i).reduce((product, d) => product * d, 1));
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < out.length; to++) {
    out[to] = data[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      index[axis]!++;
      if (index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}
