import { captureStep } from "@funmatch/engine";
import { type Compute, type UpdateOptions, updateStep } from "./step.ts";

/** Median milliseconds of a training step, or of a micro-batch's, by what it is computed in. */
export type ComputeTimes = Record<Compute, number>;

/** bfloat16 has to be faster by this much before its rounding is worth it. */
const WORTH = 0.95;
const WARM_UP = 2;
const TIMED = 5;

/**
 * Measures the training step in float32 and in bfloat16, turn about, on noise. Nothing of it stays.
 *
 * @param o as for `updateStep`
 */
export function timeComputes(o: Omit<UpdateOptions, "compute">): ComputeTimes {
  const [float32, bfloat16] = (["float32", "bfloat16"] as const).map((compute) => {
    const update = captureStep(updateStep({ ...o, compute }));
    return { update, times: [] as number[] };
  });
  const sides = [float32!, bfloat16!];
  const batch = noise(o);
  for (let round = 0; round < WARM_UP + TIMED; round++) {
    for (const { update, times } of sides) {
      const began = performance.now();
      update.run(batch);
      if (round >= WARM_UP) times.push(performance.now() - began);
    }
  }
  for (const { update } of sides) update.dispose();
  const [slow, fast] = sides.map(({ times }) => times.sort((a, b) => a - b)[TIMED >> 1]!);
  return { float32: slow!, bfloat16: fast! };
}

/** What a run with such times is computed in. */
export function fasterCompute({ float32, bfloat16 }: ComputeTimes): Compute {
  return bfloat16 < WORTH * float32 ? "bfloat16" : "float32";
}

/** Inputs of one micro-batch; bytes and logits that are not all alike, since some kernels are quicker on zeros. */
function noise({ batch, accumulate, resolution, classes }: Omit<UpdateOptions, "compute">) {
  const images = batch / accumulate;
  const mixed = (i: number) => Math.imul(i + 1, 0x9e3779b1) >>> 24;
  return {
    images: Uint8Array.from({ length: images * resolution ** 2 * 3 }, (_, i) => mixed(i)),
    targets: Float32Array.from({ length: images * classes }, (_, i) => mixed(i) / 256),
    step: Float32Array.of(1),
    multiplier: Float32Array.of(1),
    ...(accumulate > 1 && { last: Float32Array.of(1) }),
  };
}
