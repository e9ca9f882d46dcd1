/** Figures of logits [N,K], kept row by row in one array. Sums are in float64. */

/** The right labels of images: [N, each], those that an image lacks are -1. An image without any is not counted. */
export interface Answers {
  data: Int32Array;
  each: number;
  /** Whether a file gives them; otherwise they are the images' own. */
  several?: boolean;
}

/** What a figure of "top 5" looks at; of five classes or fewer it would say nothing. */
export const MANY = 5;

/** Shares of the images that have a label. */
export interface LabelFigures {
  /** Share whose first choice is a right label. */
  accuracy: number;
  /** Share with a right label among the first five choices; absent where there are no more than five classes. */
  accuracyTop5?: number;
}

/** How far a student is from a teacher, over all images. */
export interface TeacherFigures {
  /** Share of images where both make the same first choice. */
  agreement: number;
  /** Share where the teacher's first choice is among the student's first five; absent as above. */
  agreementTop5?: number;
  /** Mean KL divergence from the teacher at temperature 1, in nats. */
  kl: number;
  /** Mean euclidean distance between the logits. */
  euclidean: number;
}

/** How often the first choices are right; images may have several right labels, as in ImageNet-ReaL. */
export function labelFigures(logits: Float32Array, answers: Answers, classes: number): LabelFigures {
  const accuracy = shareInTop(logits, answers, classes, 1);
  return classes > MANY
    ? { accuracy, accuracyTop5: shareInTop(logits, answers, classes, MANY) }
    : { accuracy };
}

/** The paper's distances of a student from a teacher (`evaluators/proj/distill/distance.py` of its code). */
export function teacherFigures(
  student: Float32Array,
  teacher: Float32Array,
  classes: number,
): TeacherFigures {
  const told = { data: choices(teacher, classes), each: 1 };
  const agreement = shareInTop(student, told, classes, 1);
  return {
    agreement,
    ...(classes > MANY ? { agreementTop5: shareInTop(student, told, classes, MANY) } : {}),
    kl: meanKl(student, teacher, classes),
    euclidean: meanEuclidean(student, teacher, classes),
  };
}

/**
 * The same for an ensemble of teachers, which has log-probabilities alone: the euclidean distance is between these and
 * the student's, since logits may be shifted by any constant.
 *
 * @param ensemble log-probabilities [N,K]
 */
export function ensembleFigures(
  student: Float32Array,
  ensemble: Float32Array,
  classes: number,
): TeacherFigures {
  const logProbabilities = student.slice();
  for (let row = 0; row < student.length; row += classes) {
    const norm = logSumExp(student, row, classes);
    for (let k = row; k < row + classes; k++) logProbabilities[k] = (student[k] as number) - norm;
  }
  return {
    ...teacherFigures(student, ensemble, classes),
    euclidean: meanEuclidean(logProbabilities, ensemble, classes),
  };
}

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

/** Share of the images with an answer that have one of theirs among the `top` first choices. */
function shareInTop(logits: Float32Array, { data, each }: Answers, classes: number, top: number): number {
  let counted = 0;
  let right = 0;
  for (let i = 0; i < data.length / each; i++) {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    const answers = data.subarray(i * each, (i + 1) * each).filter((answer) => answer >= 0);
    if (answers.length === 0) continue;
    counted++;
    if (answers.some((answer) => isInTop(row, answer, top))) right++;
  }
  return right / counted;
}

/** Of equal logits the first is chosen first. */
function isInTop(row: Float32Array, answer: number, top: number): boolean {
  const own = row[answer] as number;
  let before = 0;
  for (let k = 0; k < row.length && before < top; k++) {
    const other = row[k] as number;
    if (other > own || (other === own && k < answer)) before++;
  }
  return before < top;
}

/**
 * Mean KL divergence of the student from the teacher at temperature 1, in nats. The teacher's probabilities
 * are clipped at 1e-8 inside the logarithm, as in the paper's code.
 */
function meanKl(student: Float32Array, teacher: Float32Array, classes: number): number {
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

/** With 1e-12 under the root, as in the paper's code. */
function meanEuclidean(student: Float32Array, teacher: Float32Array, classes: number): number {
  let total = 0;
  for (let row = 0; row < student.length; row += classes) {
    let squares = 0;
    for (let k = row; k < row + classes; k++)
      squares += ((student[k] as number) - (teacher[k] as number)) ** 2;
    total += Math.sqrt(squares + 1e-12);
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
