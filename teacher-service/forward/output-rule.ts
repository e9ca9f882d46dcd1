/** The smallest normal float32: what a probability is taken to be at least, so that its logarithm is finite. */
const LEAST_PROBABILITY = 2 ** -126;

/** What of several networks is averaged. */
export type Combination = "probabilities" | "logits";

/**
 * What a network's output says, as logits. The logarithm of probabilities is one of the logits that have them.
 *
 * @param values overwritten
 */
export function asLogits(values: Float32Array, outputs: Combination): Float32Array {
  if (outputs === "probabilities")
    values.forEach((value, i) => {
      values[i] = Math.log(Math.max(value, LEAST_PROBABILITY));
    });
  return values;
}

/**
 * The answer of several networks, as logits.
 *
 * @param answers logits [N,K] of each
 * @returns [N,K]: the mean of the logits, or the logarithm of the mean of the probabilities (at temperature 1)
 */
export function combined(answers: readonly Float32Array[], classes: number, by: Combination): Float32Array {
  const share = 1 / answers.length;
  const mean = new Float64Array(answers[0]!.length);
  for (const logits of answers) {
    const values = by === "logits" ? logits : probabilities(logits, classes);
    for (let i = 0; i < mean.length; i++) mean[i]! += share * values[i]!;
  }
  return by === "logits"
    ? Float32Array.from(mean)
    : Float32Array.from(mean, (each) => Math.log(Math.max(each, LEAST_PROBABILITY)));
}

function probabilities(logits: Float32Array, classes: number): Float64Array {
  const found = new Float64Array(logits.length);
  for (let row = 0; row < logits.length; row += classes) {
    const own = logits.subarray(row, row + classes);
    const most = own.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    let sum = 0;
    for (const logit of own) sum += Math.exp(logit - most);
    for (let k = 0; k < classes; k++) found[row + k] = Math.exp(own[k]! - most) / sum;
  }
  return found;
}
