/** Probabilities of `images` images, summed over the views of each, in double precision. */
export interface ProbabilitySum {
  /** Adds logits [views,K] of the next views; those of an image follow one another. */
  add(logits: Float32Array): void;
  /** The logarithm of the mean probabilities, [images,K], finite also where they are zero. */
  logMean(): Float32Array;
}

/**
 * Averages what a teacher says of several views of an image: its prediction over an ensemble is the mean of its
 * probabilities (at temperature 1).
 */
export function sumProbabilities(images: number, classes: number, viewsEach: number): ProbabilitySum {
  const sum = new Float64Array(images * classes);
  let view = 0;
  return {
    add(logits) {
      for (let at = 0; at < logits.length; at += classes, view++) {
        const row = Float64Array.from(logits.subarray(at, at + classes));
        const greatest = row.reduce((a, b) => Math.max(a, b));
        const powers = row.map((logit) => Math.exp(logit - greatest));
        const total = powers.reduce((a, b) => a + b);
        const image = Math.floor(view / viewsEach) * classes;
        for (let k = 0; k < classes; k++) sum[image + k]! += powers[k]! / total;
      }
    },
    logMean: () => Float32Array.from(sum, (value) => Math.log(Math.max(value / viewsEach, Number.MIN_VALUE))),
  };
}

/**
 * What several teachers say together, as big_vision evaluates it: the mean of their probabilities, as log-probabilities
 * [N,K]; of one teacher its logits as they are.
 *
 * @param all each teacher's logits [N,K]
 */
export function ensembleLogits(all: readonly Float32Array[], classes: number): Float32Array {
  const [first] = all;
  if (!first) throw new RangeError("an ensemble without teachers");
  if (all.length === 1) return first;
  const images = first.length / classes;
  const sum = sumProbabilities(images, classes, all.length);
  for (let i = 0; i < images; i++)
    for (const logits of all) sum.add(logits.subarray(i * classes, (i + 1) * classes));
  return sum.logMean();
}
