import { type AttrValue, shapeProto } from "./graph.ts";
import type { Operand } from "./infer.ts";
import type { Native, NativeAttr } from "./native.ts";

/** tfjs-node leaves the type of these to eager execution, which takes it from the first input; a graph must say it. */
const TYPED_BY_FIRST_INPUT = new Set(["ExpandDims"]);

/** An operation's attributes as a graph writes them. The binding converts numbers the same way (tfjs_backend.cc). */
export function graphAttrs(
  native: Native,
  op: string,
  attrs: readonly NativeAttr[],
  operands: readonly Operand[],
): Record<string, AttrValue> {
  const written = Object.fromEntries(attrs.map((attr) => [attr.name, attrValue(native, attr)]));
  const [first] = operands;
  if (first === undefined || !TYPED_BY_FIRST_INPUT.has(op)) return written;
  return { T: { type: "constant" in first ? first.constant.dtype : first.dtype }, ...written };
}

function attrValue(native: Native, { type, value }: NativeAttr): AttrValue {
  const list = Array.isArray(value);
  switch (type) {
    case native.TF_ATTR_STRING:
      return { s: Buffer.from(value as string) };
    case native.TF_ATTR_INT:
      return list ? { list: { i: value.map(Math.trunc) } } : { i: Math.trunc(value as number) };
    case native.TF_ATTR_FLOAT:
      return list ? { list: { f: value } } : { f: value as number };
    case native.TF_ATTR_BOOL:
      return list ? { list: { b: value.map(Boolean) } } : { b: value as boolean };
    case native.TF_ATTR_TYPE:
      return { type: value as number };
    case native.TF_ATTR_SHAPE:
      return { shape: shapeProto(value as unknown as number[]) };
    default:
      throw new TypeError(`an attribute of type ${type} cannot be written into a graph`);
  }
}
