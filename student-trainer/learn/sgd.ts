import * as tf from "@tensorflow/tfjs-core";
import { type Rule, type Slot, zeros } from "./rule.ts";

/**
 * Gradient descent with momentum, as `optax.trace` and `torch.optim.SGD` without dampening compute it:
 * `trace = momentum * trace + gradient`; the update is the trace or, with Nesterov's look ahead,
 * `momentum * trace + gradient` once more. Without momentum nothing is kept.
 */
export function sgd(o: { momentum: number; nesterov: boolean }): Rule {
  return {
    slots: (shape): Record<string, Slot> => (o.momentum > 0 ? { trace: zeros(shape) } : {}),
    at: (rate) => (gradient, slots) => {
      const traced = slots.map((trace) => tf.add(tf.mul(trace, o.momentum), gradient));
      const [trace = gradient] = traced;
      const direction = o.nesterov ? tf.add(tf.mul(trace, o.momentum), gradient) : trace;
      return { update: tf.mul(direction, rate), slots: traced };
    },
  };
}
