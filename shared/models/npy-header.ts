/** A weights or array file that cannot be read as it is: the message names the file, the array and the fault. */
export class ArrayFileError extends Error {
  override name = "ArrayFileError";
}

/** Element types that are read; `bfloat16` and `float16` are widened to float32 in memory. */
export type NpyDtype = "float32" | "float64" | "int32" | "int64" | "uint8" | "bool" | "float16" | "bfloat16";

export const ITEM_BYTES: Record<NpyDtype, number> = {
  float32: 4,
  float64: 8,
  int32: 4,
  int64: 8,
  uint8: 1,
  bool: 1,
  float16: 2,
  bfloat16: 2,
};

/** numpy knows no bfloat16, so JAX's arrays arrive as two opaque bytes, `|V2`. */
const DTYPE_OF_DESCR: Record<string, NpyDtype> = {
  "<f4": "float32",
  "<f8": "float64",
  "<i4": "int32",
  "<i8": "int64",
  "|u1": "uint8",
  "|b1": "bool",
  "<f2": "float16",
  "|V2": "bfloat16",
  "<V2": "bfloat16",
  bfloat16: "bfloat16",
};
const DESCR_OF_DTYPE: Record<NpyDtype, string> = {
  float32: "<f4",
  float64: "<f8",
  int32: "<i4",
  int64: "<i8",
  uint8: "|u1",
  bool: "|b1",
  float16: "<f2",
  bfloat16: "|V2",
};

export interface NpyHeader {
  dtype: NpyDtype;
  shape: number[];
  fortranOrder: boolean;
  /** Where the elements begin, in bytes from the start of the array's file. */
  dataOffset: number;
}

const MAGIC = Buffer.from("\x93NUMPY", "latin1");
const LARGEST_HEADER = 65_536;
const LARGEST_RANK = 32;

/**
 * Reads the head of a `.npy` file from its first bytes, or gives undefined when it needs more of them.
 * It interprets nothing but the one dictionary that numpy writes: no expression, no pickle.
 *
 * @throws ArrayFileError naming `where` for anything else, before a byte of the array is allocated
 */
export function readNpyHeader(bytes: Buffer, where: string): NpyHeader | undefined {
  const seen = Math.min(bytes.length, MAGIC.length);
  if (!bytes.subarray(0, seen).equals(MAGIC.subarray(0, seen)))
    throw new ArrayFileError(`${where}: not a .npy array (its first bytes are not numpy's)`);
  if (bytes.length < 8) return undefined;
  const version = bytes[6]!;
  if (version < 1 || version > 3)
    throw new ArrayFileError(`${where}: .npy version ${version} is unknown; 1 to 3 are read`);
  const start = version === 1 ? 10 : 12;
  if (bytes.length < start) return undefined;
  const length = version === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8);
  if (length > LARGEST_HEADER)
    throw new ArrayFileError(
      `${where}: claims a header of ${length} bytes; at most ${LARGEST_HEADER} are read`,
    );
  if (bytes.length < start + length) return undefined;
  const text = bytes.toString("latin1", start, start + length);
  return { ...readDictionary(text, where), dataOffset: start + length };
}

function readDictionary(text: string, where: string): Omit<NpyHeader, "dataOffset"> {
  const found =
    /^\{\s*'descr':\s*(?:'([^']*)'|(\[.*\])),\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(([\d,\s]*)\),?\s*\}\s*$/s.exec(
      text,
    );
  if (!found) throw new ArrayFileError(`${where}: its header is not one that numpy writes`);
  const [, descr, structured, fortran, dimensions] = found;
  if (descr === undefined)
    throw new ArrayFileError(`${where}: structured dtype ${structured!.slice(0, 80)} is not read`);
  if (/^[|<>=]?O/.test(descr))
    throw new ArrayFileError(
      `${where}: holds Python objects (dtype object): those are pickles, which can run code, and are refused`,
    );
  const dtype = Object.hasOwn(DTYPE_OF_DESCR, descr) ? DTYPE_OF_DESCR[descr] : undefined;
  if (!dtype)
    throw new ArrayFileError(
      `${where}: dtype "${descr.slice(0, 40)}" is not read; ${Object.keys(DTYPE_OF_DESCR).slice(0, 8).join(", ")} are`,
    );
  const shape = dimensions!.split(",").flatMap((d) => (d.trim() === "" ? [] : [Number(d)]));
  if (shape.length > LARGEST_RANK)
    throw new ArrayFileError(`${where}: ${shape.length} dimensions; at most ${LARGEST_RANK} are read`);
  if (shape.some((d) => !Number.isSafeInteger(d)))
    throw new ArrayFileError(`${where}: shape (${dimensions!.slice(0, 80)}) is not a shape`);
  return { dtype, shape, fortranOrder: fortran === "True" };
}

/** Bytes of the elements that a header announces; Infinity when no memory could ever hold them. */
export function byteLength(header: { dtype: NpyDtype; shape: number[] }): number {
  const bytes = header.shape.reduce((product, d) => product * d, ITEM_BYTES[header.dtype]);
  return Number.isSafeInteger(bytes) ? bytes : Number.POSITIVE_INFINITY;
}

/** Writes the head of a `.npy` file, padded as numpy pads it: the elements begin at a multiple of 64 bytes. */
export function writeNpyHeader(dtype: NpyDtype, shape: readonly number[]): Buffer {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const dictionary = `{'descr': '${DESCR_OF_DTYPE[dtype]}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const total = Math.ceil((10 + dictionary.length + 1) / 64) * 64;
  const head = Buffer.alloc(total, " ");
  MAGIC.copy(head);
  head.writeUInt8(1, 6);
  head.writeUInt8(0, 7);
  head.writeUInt16LE(total - 10, 8);
  head.write(dictionary, 10, "latin1");
  head.write("\n", total - 1);
  return head;
}
