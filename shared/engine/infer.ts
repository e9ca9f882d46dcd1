import type { Constant } from "./constant.ts";
import { sizeOf } from "./graph.ts";
import { DT, type Native, type NativeAttr, type TensorInfo } from "./native.ts";

/** An operation's input during capture: a node's output, of which only the type is known, or a constant. */
export type Operand = ({ ref: string } & TensorInfo) | { constant: Constant };

/** An operation as tfjs asks for it; `ids` are the operands' numbers, native ones where they are constants. */
export interface Call {
  op: string;
  attrs: NativeAttr[];
  operands: Operand[];
  ids: number[];
  outputs: number;
}

/** Results' types by the operation's signature: a network repeats its blocks, and each is computed once. */
export type InferMemo = Map<string, TensorInfo[]>;

/**
 * The element types and shapes of an operation's results. TensorFlow finds them by running the operation once on the
 * real constants and stand-ins for the rest: shapes depend on types, attributes and constants only. The stand-ins
 * are zeros, or ones where the operation does not take zeros.
 */
export function inferOutputs(native: Native, memo: InferMemo, call: Call): TensorInfo[] {
  const key = signature(call);
  const known = memo.get(key);
  if (known !== undefined) return known;
  let infos: TensorInfo[];
  try {
    infos = runOnStandIns(native, call, 0);
  } catch (error) {
    try {
      infos = runOnStandIns(native, call, 1);
    } catch {
      throw error;
    }
  }
  memo.set(key, infos);
  return infos;
}

/** Constants above this many bytes are weights or images, never shapes. */
const SHAPE_BYTES = 4096;

function signature(call: Call): string {
  const operands = call.operands.map((operand) => {
    const { dtype, shape } = "constant" in operand ? operand.constant : operand;
    return `${dtype}[${shape}]${"constant" in operand ? contentKey(operand.constant) : ""}`;
  });
  return `${call.op} ${call.outputs} ${JSON.stringify(call.attrs)} ${operands.join(" ")}`;
}

function contentKey({ content }: Constant): string {
  if (!(content instanceof Uint8Array)) {
    return content.map((bytes) => Buffer.from(bytes).toString("hex")).join();
  }
  return content.byteLength <= SHAPE_BYTES ? Buffer.from(content).toString("hex") : "";
}

function runOnStandIns(native: Native, call: Call, value: 0 | 1): TensorInfo[] {
  const made: number[] = [];
  try {
    const ids = call.operands.map((operand, i) =>
      "constant" in operand ? (call.ids[i] as number) : standIn(native, operand, value, made),
    );
    const results = native.executeOp(call.op, lenient(call.op, call.attrs), ids, call.outputs);
    made.push(...results.map((result) => result.id));
    return results.map(({ shape, dtype }) => ({ shape, dtype }));
  } finally {
    for (const id of made) native.deleteTensor(id);
  }
}

/** A tensor of that type, every element `value` (or an empty string); every tensor made is noted in `made`. */
function standIn(native: Native, { shape, dtype }: TensorInfo, value: 0 | 1, made: number[]): number {
  const create = (...args: Parameters<Native["createTensor"]>): number => {
    const id = native.createTensor(...args);
    made.push(id);
    return id;
  };
  const execute = (op: string, types: Record<string, number>, ids: number[]): number => {
    const attrs = Object.entries(types).map(([name, type]) => ({
      name,
      type: native.TF_ATTR_TYPE,
      value: type,
    }));
    const [result] = native.executeOp(op, attrs, ids, 1);
    made.push(result!.id);
    return result!.id;
  };
  if (dtype === DT.string) {
    const empty = Array.from({ length: sizeOf(shape) }, () => new Uint8Array());
    return create(shape, dtype, empty);
  }
  const integer = dtype === DT.int32;
  const made32 = integer ? DT.int32 : DT.float;
  const dims = create([shape.length], DT.int32, Int32Array.from(shape));
  const element = create([], made32, integer ? Int32Array.of(value) : Float32Array.of(value));
  const filled = execute("Fill", { T: made32, index_type: DT.int32 }, [dims, element]);
  return dtype === made32 ? filled : execute("Cast", { SrcT: made32, DstT: dtype }, [filled]);
}

/** SparseToDense rejects repeated indices, and the stand-ins are all alike. */
function lenient(op: string, attrs: NativeAttr[]): NativeAttr[] {
  if (op !== "SparseToDense") return attrs;
  return attrs.map((attr) => (attr.name === "validate_indices" ? { ...attr, value: false } : attr));
}
