import { constantNodes, constantOf } from "./constant.ts";
import type { FrozenGraph } from "./frozen-graph.ts";
import { type AttrValue, type GraphNode, shapeProto } from "./graph.ts";
import { DT } from "./native.ts";

const int32 = { type: DT.int32 };
const float = { type: DT.float };
const uint8 = { type: DT.uint8 };

/**
 * A graph from one decoded picture to its evaluation view: `picture` uint8 [H, W, 3] → `view` uint8 [1, R, R, 3]. The
 * shorter side is resized to `side` by area averages, the longer one in proportion (rounded half to even), bytes are
 * truncated, and the middle is cut out: big_vision's `resize_small | central_crop`.
 */
export function centralViewGraph({ resolution, side }: { resolution: number; side: number }): FrozenGraph {
  const nodes: GraphNode[] = [];
  const add = (name: string, op: string, input: string[], attr: Record<string, AttrValue>): string => {
    nodes.push({ name, op, input, attr });
    return `${name}:0`;
  };
  const constant = (name: string, shape: number[], values: Int32Array | Float32Array): string => {
    const dtype = values instanceof Int32Array ? DT.int32 : DT.float;
    nodes.push(...constantNodes(name, constantOf(shape, dtype, values)));
    return `${name}:0`;
  };
  const ints = (name: string, ...values: number[]) =>
    constant(name, [values.length], Int32Array.from(values));
  const axis = constant("view_axis", [], Int32Array.of(0));
  const cast = (name: string, input: string, from: { type: number }, to: { type: number }) =>
    add(name, "Cast", [input], { SrcT: from, DstT: to, Truncate: { b: false } });

  const shape = [-1, -1, 3];
  const picture = add("picture", "Placeholder", [], { dtype: uint8, shape: { shape: shapeProto(shape) } });
  const batch = add("view_batch", "ExpandDims", [picture, axis], { T: uint8, Tdim: int32 });
  const whole = add("view_shape", "Shape", [picture], { T: uint8, out_type: int32 });
  const slice = { T: int32, Index: int32 };
  const sides = add("view_sides", "Slice", [whole, ints("view_first", 0), ints("view_two", 2)], slice);
  const short = add("view_short", "Min", [sides, ints("view_axes", 0)], {
    ...{ T: int32, Tidx: int32 },
    keep_dims: { b: false },
  });
  const wanted = constant("view_side", [], Float32Array.of(side));
  const factor = add("view_factor", "RealDiv", [wanted, cast("view_short_float", short, int32, float)], {
    T: float,
  });
  const scaled = add("view_scaled", "Mul", [cast("view_sides_float", sides, int32, float), factor], {
    T: float,
  });
  const rounded = add("view_rounded", "Round", [scaled], { T: float });
  const size = cast("view_size", rounded, float, int32);
  const resized = add("view_resized", "ResizeArea", [batch, size], { T: uint8, align_corners: { b: false } });
  const bytes = cast("view_bytes", resized, float, uint8);
  const margin = add("view_margin", "Sub", [size, ints("view_crop", resolution, resolution)], { T: int32 });
  const half = add("view_half", "FloorDiv", [margin, ints("view_divisor", 2)], { T: int32 });
  const begin = add("view_begin", "ConcatV2", [ints("view_image", 0), half, ints("view_channel", 0), axis], {
    ...{ T: int32, Tidx: int32 },
    N: { i: 3 },
  });
  const crop = ints("view_out", 1, resolution, resolution, 3);
  add("view", "Slice", [bytes, begin, crop], { T: uint8, Index: int32 });
  return {
    nodes,
    input: { name: "picture", dtype: DT.uint8, shape },
    outputs: [{ name: "view", dtype: DT.uint8, shape: [1, resolution, resolution, 3] }],
  };
}
