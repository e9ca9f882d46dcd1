import { type GraphNode, shapeProto, sizeOf } from "./graph.ts";
import { DT, dtypeName, type TensorInfo } from "./native.ts";

/** A tensor whose values JavaScript knew while the graph was captured. */
export interface Constant extends TensorInfo {
  /** The elements' bytes; those of the first element alone if `uniform`; for strings one array an element. */
  content: Uint8Array | Uint8Array[];
  /** Every element has the same bytes, and there are enough of them that a Fill is worth it. */
  uniform: boolean;
}

/** Smaller tensors stay Const even if uniform: shapes and axes must be readable without running anything. */
const FILL_FROM_ELEMENTS = 64;
/** Equal constants up to this many bytes share one node. */
const SHARED_UP_TO_BYTES = 256;

/** Copies what the binding was given as a tensor's values. */
export function constantOf(shape: readonly number[], dtype: number, values: ArrayLike<unknown>): Constant {
  if (dtype === DT.string) {
    return {
      shape: [...shape],
      dtype,
      content: Array.from(values as Uint8Array[], (v) => v.slice()),
      uniform: false,
    };
  }
  const array = values as Float32Array | Int32Array | Uint8Array;
  const elements = sizeOf(shape);
  const width = elements === 0 ? 0 : array.byteLength / elements;
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const uniform = elements >= FILL_FROM_ELEMENTS && repeats(array, width / array.BYTES_PER_ELEMENT);
  return { shape: [...shape], dtype, content: uniform ? bytes.slice(0, width) : bytes.slice(), uniform };
}

/** Whether the array is its first `period` elements again and again, bit by bit (so 0 is not -0). */
function repeats(array: Float32Array | Int32Array | Uint8Array, period: number): boolean {
  const bits =
    array.BYTES_PER_ELEMENT === 4
      ? new Uint32Array(array.buffer, array.byteOffset, array.length)
      : (array as Uint8Array);
  for (let i = period; i < bits.length; i++) if (bits[i] !== bits[i - period]) return false;
  return true;
}

/** Equal for constants that may share a node, undefined for those too large to be worth comparing. */
export function sharingKey(constant: Constant): string | undefined {
  const { content } = constant;
  if (!(content instanceof Uint8Array) || content.byteLength > SHARED_UP_TO_BYTES) return undefined;
  return `${constant.dtype}[${constant.shape}]${constant.uniform}${Buffer.from(content).toString("latin1")}`;
}

/** The node or nodes that make the constant; the first carries the name. */
export function constantNodes(name: string, constant: Constant): GraphNode[] {
  const { dtype, shape, content } = constant;
  if (!constant.uniform) return [constNode(name, dtype, shape, content)];
  const dims = Int32Array.from(shape);
  return [
    {
      name,
      op: "Fill",
      input: [`${name}_dims:0`, `${name}_value:0`],
      attr: { T: { type: dtype }, index_type: { type: DT.int32 } },
    },
    constNode(`${name}_dims`, DT.int32, [dims.length], new Uint8Array(dims.buffer)),
    constNode(`${name}_value`, dtype, [], content),
  ];
}

function constNode(name: string, dtype: number, shape: number[], content: Constant["content"]): GraphNode {
  const values = content instanceof Uint8Array ? { tensorContent: content } : { stringVal: content };
  return {
    name,
    op: "Const",
    input: [],
    attr: { dtype: { type: dtype }, value: { tensor: { dtype, tensorShape: shapeProto(shape), ...values } } },
  };
}

/** What differs between two constants, in words, or undefined if they are the same bit by bit. */
export function difference(before: Constant, after: Constant): string | undefined {
  if (before.dtype !== after.dtype || `${before.shape}` !== `${after.shape}`) {
    return `from ${kind(before)} to ${kind(after)}`;
  }
  if (sameContent(before, after)) return undefined;
  const elements = sizeOf(before.shape);
  for (let i = 0; i < elements; i++) {
    const [a, b] = [element(before, i), element(after, i)];
    if (a.equals(b)) continue;
    const place = elements === 1 ? "" : ` (element ${i} of [${before.shape}])`;
    return `from ${number(before.dtype, a)} to ${number(after.dtype, b)}${place}`;
  }
  return undefined;
}

function sameContent(before: Constant, after: Constant): boolean {
  if (before.uniform !== after.uniform) return false;
  const [a, b] = [before.content, after.content];
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  return false;
}

function element({ content, uniform, shape }: Constant, index: number): Buffer {
  if (!(content instanceof Uint8Array)) return Buffer.from(content[index] ?? []);
  const width = uniform ? content.byteLength : content.byteLength / sizeOf(shape);
  const start = uniform ? 0 : index * width;
  return Buffer.from(content.buffer, content.byteOffset + start, width);
}

function number(dtype: number, bytes: Buffer): string {
  if (dtype === DT.float) return String(Number(bytes.readFloatLE(0).toPrecision(7)));
  if (dtype === DT.int32) return String(bytes.readInt32LE(0));
  if (dtype === DT.bool) return String(bytes[0] !== 0);
  if (dtype === DT.string) return JSON.stringify(bytes.toString());
  return `0x${bytes.toString("hex")}`;
}

function kind(info: TensorInfo): string {
  return `${dtypeName(info.dtype)} [${info.shape}]`;
}
