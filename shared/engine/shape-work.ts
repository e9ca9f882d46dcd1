import { sizeOf } from "./graph.ts";
import type { Operand } from "./infer.ts";
import { DT } from "./native.ts";

/** What a network does to shapes as it runs. */
const SHAPE_WORK = new Set(
  [
    "Add",
    "AddV2",
    "Cast",
    "ConcatV2",
    "ExpandDims",
    "FloorDiv",
    "GatherV2",
    "Maximum",
    "Minimum",
    "Mul",
  ].concat(["Pack", "Prod", "Range", "Reshape", "Slice", "Squeeze", "StridedSlice", "Sub"]),
);
const LONGEST_SHAPE = 64;

/** Whether an operation works on a shape all of whose numbers are known, so that its result is known too. */
export function isShapeWork(op: string, operands: Operand[]): boolean {
  return (
    SHAPE_WORK.has(op) &&
    operands.every(
      (operand) =>
        "constant" in operand &&
        operand.constant.dtype === DT.int32 &&
        sizeOf(operand.constant.shape) <= LONGEST_SHAPE,
    )
  );
}
