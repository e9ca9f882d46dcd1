/** The smallest normal float32: what a probability is taken to be at least, so that its logarithm is finite. */
const LEAST_PROBABILITY = 2 ** -126;

/**
 * What a network's output says, as logits. The logarithm of probabilities is one of the logits that have them.
 *
 * @param values overwritten
 */
export function asLogits(values: Float32Array, outputs: "logits" | "probabilities"): Float32Array {
  if (outputs === "probabilities")
    values.forEach((value, i) => {
      values[i] = Math.log(Math.max(value, LEAST_PROBABILITY));
    });
  return values;
}
