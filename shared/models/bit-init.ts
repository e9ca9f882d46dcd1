import { type BitConfig, bitShapes, type Weights } from "./bit-config.ts";
import { lecunNormal } from "./kernel-init.ts";
import type { Normal } from "./network.ts";

/**
 * A fresh model, drawn as big_vision draws it: kernels truncated normal with variance 1 / fan-in (LeCun), GroupNorm
 * scale 1 and bias 0, head zero.
 */
export function initBit(config: BitConfig, normal: Normal): Weights {
  const weights: Weights = {};
  for (const [name, shape] of Object.entries(bitShapes(config))) {
    const count = shape.reduce((product, d) => product * d, 1);
    const values =
      shape.length === 4 && name.endsWith("/kernel")
        ? lecunNormal(name, count, count / shape[3]!, normal)
        : new Float32Array(count).fill(name.endsWith("/scale") ? 1 : 0);
    weights[name] = { shape, values };
  }
  return weights;
}
