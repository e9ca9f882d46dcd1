import type { Constant } from "./constant.ts";
import { sizeOf } from "./graph.ts";
import { DT, type Native, type NativeAttr, type TensorInfo } from "./native.ts";

/** An operation's input during capture: a node's output, of which only the type is known, or a constant. */
export type Operand = ({ ref: string } & TensorInfo) | { constant: Constant };

/** Results' types by the operation's signature: a network repeats its blocks, and each is computed once. */
export type InferMemo = Map<string, TensorInfo[]>;

/**
 * The element types and shapes of an operation's results. TensorFlow finds them by running the operation once on
 * stand-ins (zeros, of the right type) and the real constants: shapes depend on types, attributes and constants only.
 */
export function inferOutputs(
  native: Native,
  memo: InferMemo,
  call: { op: string; attrs: NativeAttr[]; operands: Operand[]; ids: number[]; outputs: number },
): TensorInfo[] {
  const key = signature(call);
  const known = memo.get(key);
  if (known !== undefined) return known;
  const made: number[] = [];
  try {
    const ids = call.operands.map((operand, i) => {
      if ("constant" in operand) return call.ids[i] as number;
      return standIn(native, operand, made);
    });
    const results = native.executeOp(call.op, lenient(call.op, call.attrs), ids, call.outputs);
    made.push(...results.map((result) => result.id));
    const infos = results.map(({ shape, dtype }) => ({ shape, dtype }));
    memo.set(key, infos);
    return infos;
  } finally {
    for (const id of made) native.deleteTensor(id);
  }
}

/** Constants above this many bytes are weights or images, never shapes. */
const SHAPE_BYTES = 4096;

function signature(call: { op: string; attrs: NativeAttr[]; operands: Operand[]; outputs: number }): string {
  const operands = call.operands.map((operand) => {
    const { dtype, shape } = "constant" in operand ? operand.constant : operand;
    return `${dtype}[${shape}]${"constant" in operand ? contentKey(operand.constant) : ""}`;
  });
  return `${call.op} ${call.outputs} ${JSON.stringify(call.attrs)} ${operands.join(" ")}`;
}

function contentKey({ content }: Constant): string {
  if (!(content instanceof Uint8Array))
    return content.map((bytes) => Buffer.from(bytes).toString("hex")).join();
  return content.byteLength <= SHAPE_BYTES ? Buffer.from(content).toString("hex") : "";
}

/** A tensor of zeros (or empty strings) of that type; every tensor made on the way is noted in `made`. */
function standIn(native: Native, { shape, dtype }: TensorInfo, made: number[]): number {
  const note = (id: number): number => {
    made.push(id);
    return id;
  };
  if (dtype === DT.string) {
    const empty = Array.from({ length: sizeOf(shape) }, () => new Uint8Array());
    return note(native.createTensor(shape, dtype, empty));
  }
  const dims = note(native.createTensor([shape.length], DT.int32, Int32Array.from(shape)));
  const type = (name: string, value: number): NativeAttr => ({ name, type: native.TF_ATTR_TYPE, value });
  const zero =
    dtype === DT.int32
      ? note(native.createTensor([], DT.int32, new Int32Array(1)))
      : note(native.createTensor([], DT.float, new Float32Array(1)));
  const from = dtype === DT.int32 ? DT.int32 : DT.float;
  const filled = note(
    native.executeOp("Fill", [type("T", from), type("index_type", DT.int32)], [dims, zero], 1)[0]!.id,
  );
  if (dtype === from) return filled;
  return note(native.executeOp("Cast", [type("SrcT", from), type("DstT", dtype)], [filled], 1)[0]!.id);
}

/** SparseToDense rejects repeated indices, and the stand-ins are all alike. */
function lenient(op: string, attrs: NativeAttr[]): NativeAttr[] {
  if (op !== "SparseToDense") return attrs;
  return attrs.map((attr) => (attr.name === "validate_indices" ? { ...attr, value: false } : attr));
}
