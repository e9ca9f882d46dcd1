import { readFileSync, statSync } from "node:fs";
import { inflateSync } from "node:zlib";
import { UserError } from "@funmatch/config";

/** An array in a MATLAB file: numbers or text in MATLAB's order (first dimension fastest), or records. */
export type MatArray =
  | { kind: "numbers"; shape: number[]; values: Float64Array }
  | { kind: "text"; text: string }
  | { kind: "records"; shape: number[]; fields: Map<string, (MatArray | undefined)[]> };

const HEADER = 128;
const LARGEST_FILE = 2 ** 26;
/** Of one variable, uncompressed. */
const LARGEST_VARIABLE = 2 ** 27;
const MOST_ELEMENTS = 2 ** 24;
const DEEPEST = 8;
const [MATRIX, COMPRESSED, UTF8] = [14, 15, 16];
const [STRUCT_CLASS, CHAR_CLASS] = [2, 4];

/** How numbers are stored, by the type of their element: miINT8 … miUINT64, and units of UTF-16. */
const NUMBERS = new Map<number, [width: number, read: (view: DataView, at: number) => number]>([
  [1, [1, (view, at) => view.getInt8(at)]],
  [2, [1, (view, at) => view.getUint8(at)]],
  [3, [2, (view, at) => view.getInt16(at, true)]],
  [4, [2, (view, at) => view.getUint16(at, true)]],
  [5, [4, (view, at) => view.getInt32(at, true)]],
  [6, [4, (view, at) => view.getUint32(at, true)]],
  [7, [4, (view, at) => view.getFloat32(at, true)]],
  [9, [8, (view, at) => view.getFloat64(at, true)]],
  [12, [8, (view, at) => Number(view.getBigInt64(at, true))]],
  [13, [8, (view, at) => Number(view.getBigUint64(at, true))]],
  [17, [2, (view, at) => view.getUint16(at, true)]],
]);

/**
 * Reads the variables of a MATLAB file of version 5 to 7 (little-endian): numeric arrays, texts and structures of
 * them. Other kinds of values, such as cells, are passed over.
 *
 * @throws UserError if the file is missing, damaged, unreasonably large or of another version
 */
export function readMat(path: string): Map<string, MatArray> {
  const fail = (what: string): never => {
    throw new UserError(`${path} ${what}`);
  };
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) return fail("is missing");
  if (size > LARGEST_FILE) fail(`has ${size} bytes; label files of MATLAB have at most ${LARGEST_FILE}`);
  const bytes = readFileSync(path);
  const text = bytes.toString("latin1", 0, 19);
  if (text.startsWith("MATLAB 7.3")) fail('is of MATLAB 7.3: save it by save(…, "-v7")');
  if (bytes.length < HEADER || !text.startsWith("MATLAB 5.0") || bytes.toString("latin1", 126, 128) !== "IM")
    fail("is not a MATLAB file of version 5 to 7");
  const variables = new Map<string, MatArray>();
  try {
    for (const element of elements(bytes.subarray(HEADER), 1)) {
      const [inner] = element.type === COMPRESSED ? elements(inflated(element.bytes), 1) : [element];
      if (inner?.type !== MATRIX) continue;
      const { name, array } = matrix(inner.bytes, 0);
      if (array) variables.set(name, array);
    }
  } catch (error) {
    fail(`is damaged (${(error as Error).message})`);
  }
  return variables;
}

function inflated(bytes: Uint8Array): Uint8Array {
  return inflateSync(bytes, { maxOutputLength: LARGEST_VARIABLE });
}

interface Element {
  type: number;
  bytes: Uint8Array;
}

/** @param padding to what elements are padded; compressed ones, which stand alone, are not */
function* elements(bytes: Uint8Array, padding: 1 | 8): Generator<Element> {
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length; ) {
    const tag = view.getUint32(at, true);
    const short = tag >>> 16 > 0;
    const size = short ? tag >>> 16 : view.getUint32(at + 4, true);
    const from = short ? at + 4 : at + 8;
    if ((short && size > 4) || from + size > bytes.length) throw new Error("an element beyond the end");
    yield { type: tag & 0xffff, bytes: bytes.subarray(from, from + size) };
    at = short ? at + 8 : from + Math.ceil(size / padding) * padding;
  }
}

function matrix(bytes: Uint8Array, depth: number): { name: string; array?: MatArray } {
  if (bytes.length === 0) return { name: "" };
  if (depth > DEEPEST) throw new Error("structures nested too deep");
  const parts = elements(bytes, 8);
  const next = (): Element => {
    const { value, done } = parts.next();
    if (done) throw new Error("an array is cut off");
    return value;
  };
  const kind = numbers(next())[0]! & 0xff;
  const shape = [...numbers(next())];
  const count = shape.reduce((product, side) => product * side, 1);
  if (shape.length < 2 || shape.some((side) => side < 0) || count > MOST_ELEMENTS)
    throw new Error(`an array of ${shape.join(" x ")}`);
  const name = Buffer.from(next().bytes).toString("latin1");
  if (kind === STRUCT_CLASS) return { name, array: records(shape, count, next, depth) };
  if (kind !== CHAR_CLASS && !(kind >= 6 && kind <= 15)) return { name };
  const content = next();
  if (kind === CHAR_CLASS) return { name, array: { kind: "text", text: textOf(content) } };
  const values = numbers(content);
  if (values.length !== count) throw new Error(`${values.length} values in an array of ${shape.join(" x ")}`);
  return { name, array: { kind: "numbers", shape, values } };
}

function records(shape: number[], count: number, next: () => Element, depth: number): MatArray {
  const length = numbers(next())[0] ?? 0;
  const names = next().bytes;
  if (!(length >= 1 && length <= 64)) throw new Error(`field names of ${length} bytes`);
  const fields = Array.from({ length: Math.floor(names.length / length) }, (_, i) =>
    Buffer.from(names.subarray(i * length, (i + 1) * length))
      .toString("latin1")
      .replace(/\0.*$/s, ""),
  );
  const columns = fields.map((): (MatArray | undefined)[] => []);
  for (let i = 0; i < count; i++)
    for (const column of columns) column.push(matrix(next().bytes, depth + 1).array);
  return { kind: "records", shape, fields: new Map(fields.map((field, i) => [field, columns[i]!])) };
}

/** Characters are stored in UTF-8, or as units of UTF-16 in two bytes or, where all are small, in one. */
function textOf({ type, bytes }: Element): string {
  if (type === UTF8) return Buffer.from(bytes).toString("utf8");
  return Buffer.from(Uint16Array.from(numbers({ type, bytes })).buffer).toString("utf16le");
}

function numbers({ type, bytes }: Element): Float64Array {
  const [width, read] = NUMBERS.get(type) ?? [];
  if (!width || !read) throw new Error(`an element of type ${type} where numbers were expected`);
  if (bytes.length % width !== 0) throw new Error("a number is cut off");
  const view = viewOf(bytes);
  return Float64Array.from({ length: bytes.length / width }, (_, i) => read(view, i * width));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * The numbers of a variable.
 *
 * @throws UserError if there is no such variable
 */
export function numbersIn(path: string, name: string): Float64Array {
  const array = readMat(path).get(name);
  if (array?.kind !== "numbers") throw new UserError(`${path} has no numbers called ${name}`);
  return array.values;
}
