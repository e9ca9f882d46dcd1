/** A TensorFlow graph as data: what GraphDef, NodeDef and AttrValue say, in plain objects. */

export interface ShapeProto {
  dim: { size: number }[];
}

export interface TensorProto {
  dtype: number;
  tensorShape: ShapeProto;
  tensorContent?: Uint8Array;
  stringVal?: Uint8Array[];
}

export type AttrValue =
  | { s: Uint8Array }
  | { i: number }
  | { f: number }
  | { b: boolean }
  | { type: number }
  | { shape: ShapeProto }
  | { tensor: TensorProto }
  | { list: { i?: number[]; f?: number[]; b?: boolean[] } };

export interface GraphNode {
  name: string;
  op: string;
  /** `node:output` for data, `^node` for "after that node". */
  input: string[];
  attr: Record<string, AttrValue>;
}

export function shapeProto(shape: readonly number[]): ShapeProto {
  return { dim: shape.map((size) => ({ size })) };
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
