import { TeacherError } from "../errors.ts";
import type { InputPlan, OipHints } from "./metadata.ts";

const CHANNELS = 3;

/** Smallest probability that a logarithm is taken of, as in the paper's code. */
const LEAST = 1e-8;

/**
 * Images [N,H,W,3] uint8 as the values of an input tensor, in its layout and, where it takes floats, its value range.
 * Where the model takes a fixed number of images, the last one is repeated to fill it.
 */
export function inputValues(
  images: Uint8Array,
  shape: readonly [number, number, number, number],
  plan: InputPlan,
  hints: Pick<OipHints, "valueRange" | "mean" | "std">,
): { shape: number[]; values: Uint8Array | Float32Array } {
  const [count, height, width] = shape;
  const total = plan.batch ?? count;
  const pixels = height * width;
  if (plan.datatype === "UINT8" && plan.layout === "nhwc" && total === count)
    return { shape: [...shape], values: images };
  const values =
    plan.datatype === "UINT8"
      ? new Uint8Array(total * pixels * CHANNELS)
      : new Float32Array(total * pixels * CHANNELS);
  const of = valueTables(plan.datatype === "UINT8" ? {} : hints);
  for (let n = 0; n < total; n++) {
    const from = Math.min(n, count - 1) * pixels * CHANNELS;
    const to = n * pixels * CHANNELS;
    for (let p = 0; p < pixels; p++)
      for (let c = 0; c < CHANNELS; c++) {
        const at = plan.layout === "nhwc" ? p * CHANNELS + c : c * pixels + p;
        values[to + at] = of[c]![images[from + p * CHANNELS + c]!]!;
      }
  }
  const dims = plan.layout === "nhwc" ? [height, width, CHANNELS] : [CHANNELS, height, width];
  return { shape: [total, ...dims], values };
}

/** What each pixel value becomes, by channel: 256 values each. */
function valueTables({
  valueRange,
  mean,
  std,
}: Pick<OipHints, "valueRange" | "mean" | "std">): Float32Array[] {
  return Array.from({ length: CHANNELS }, (_, c) =>
    Float32Array.from({ length: 256 }, (_, pixel) => {
      if (valueRange) return valueRange[0] + (pixel / 255) * (valueRange[1] - valueRange[0]);
      if (mean && std) return (pixel / 255 - mean[c]!) / std[c]!;
      return pixel;
    }),
  );
}

/**
 * An output's values as logits [images,K]: as they are, or the logarithms of probabilities, which are logits of them.
 *
 * @throws TeacherError when they are not numbers for these images, or no probabilities
 */
export function logitsOf(
  who: string,
  values: ArrayLike<number>,
  o: { images: number; rows: number; classes: number; kind: OipHints["outputKind"] },
): Float32Array {
  if (values.length !== o.rows * o.classes)
    throw new TeacherError(
      "shape",
      `${who}: ${values.length} numbers came back for ${o.rows} images of ${o.classes} classes`,
    );
  const logits = new Float32Array(o.images * o.classes);
  for (let i = 0; i < logits.length; i++) logits[i] = values[i]!;
  const bad = logits.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw new TeacherError(
      "non-finite",
      `${who}: output ${bad % o.classes} of image ${Math.floor(bad / o.classes)} is ${logits[bad]}`,
    );
  if (o.kind === "logits") return logits;
  for (let row = 0; row < o.images; row++) {
    const probabilities = logits.subarray(row * o.classes, (row + 1) * o.classes);
    if (!areProbabilities(probabilities))
      throw new TeacherError(
        "malformed",
        `${who}: the outputs of image ${row} are no probabilities: set oip.outputKind to logits`,
      );
    for (let k = 0; k < o.classes; k++) probabilities[k] = Math.log(Math.max(probabilities[k]!, LEAST));
  }
  return logits;
}

/** Whether a row's numbers are of 0..1 and sum to 1, but for rounding. */
export function areProbabilities(row: Float32Array): boolean {
  let sum = 0;
  for (const value of row) {
    if (value < -1e-3 || value > 1 + 1e-3) return false;
    sum += value;
  }
  return Math.abs(sum - 1) < 1e-2;
}
