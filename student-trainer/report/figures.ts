/** Figures of logits [N,K], kept row by row in one array. */

/** The class of the largest logit of every row; the first of equals, as numpy.argmax. */
export function choices(logits: Float32Array, classes: number): Int32Array {
  const chosen = new Int32Array(logits.length / classes);
  for (let i = 0; i < chosen.length; i++) {
    const row = i * classes;
    let best = 0;
    for (let k = 1; k < classes; k++)
      if ((logits[row + k] as number) > (logits[row + best] as number)) best = k;
    chosen[i] = best;
  }
  return chosen;
}

/** Share of places where two lists of classes are equal. */
export function shareEqual(a: Int32Array, b: Int32Array): number {
  let equal = 0;
  for (let i = 0; i < a.length; i++) if (a[i] === b[i]) equal++;
  return equal / a.length;
}

/**
 * Mean KL divergence of the student from the teacher at temperature 1, in nats. The teacher's probabilities
 * are clipped at 1e-8 inside the logarithm, as in the paper's code. Summed in float64.
 */
export function meanKl(student: Float32Array, teacher: Float32Array, classes: number): number {
  let total = 0;
  for (let row = 0; row < student.length; row += classes) {
    const normStudent = logSumExp(student, row, classes);
    const normTeacher = logSumExp(teacher, row, classes);
    for (let k = row; k < row + classes; k++) {
      const p = Math.exp((teacher[k] as number) - normTeacher);
      total += p * (Math.log(Math.max(p, 1e-8)) - ((student[k] as number) - normStudent));
    }
  }
  return total / (student.length / classes);
}

function logSumExp(logits: Float32Array, row: number, classes: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let k = row; k < row + classes; k++) max = Math.max(max, logits[k] as number);
  let sum = 0;
  for (let k = row; k < row + classes; k++) sum += Math.exp((logits[k] as number) - max);
  return max + Math.log(sum);
}
