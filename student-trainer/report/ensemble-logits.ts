import { logSumExp } from "./figures.ts";

/**
 * What several teachers say together: logits [N,K] whose softmax is the mean of theirs. Of the logits that have this
 * softmax those with the mean of the teachers' logits as their own mean in each row, so that a distance in logits
 * means the same as to one teacher, and teachers that are all alike are their own ensemble.
 *
 * @param teachers logits [N,K] of each
 */
export function ensembleLogits(teachers: Float32Array[], classes: number): Float32Array {
  const out = new Float32Array(teachers[0]!.length);
  const together = new Float64Array(classes);
  for (let row = 0; row < out.length; row += classes) {
    together.fill(0);
    let level = 0;
    for (const logits of teachers) {
      const norm = logSumExp(logits, row, classes);
      for (let k = 0; k < classes; k++) {
        together[k]! += Math.exp(logits[row + k]! - norm) / teachers.length;
        level += logits[row + k]! / teachers.length;
      }
    }
    let lowered = level;
    for (let k = 0; k < classes; k++) {
      together[k] = Math.log(Math.max(together[k]!, Number.MIN_VALUE));
      lowered -= together[k]!;
    }
    for (let k = 0; k < classes; k++) out[row + k] = together[k]! + lowered / classes;
  }
  return out;
}
