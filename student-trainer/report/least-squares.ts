import { CholeskyDecomposition, Matrix } from "ml-matrix";
import type { Features } from "./cka.ts";

/** Large, so that the bias is hardly regularised. */
const BIAS = 100;

/** A linear classifier of features. */
export interface LinearProbe {
  /** The class of each row of features. */
  choices(features: Features): Int32Array;
}

/**
 * Fits a linear probe by L2-regularised least squares in closed form, in float64, as the paper's code does
 * (`evaluators/fewshot_lsr.py`): features scaled to mean 0 and standard deviation 1, a constant feature of 100 for the
 * bias, targets 1 for the own class and -1 for the others.
 *
 * @param labels the class of each row
 * @param l2 what is added to the diagonal
 */
export function fitProbe(
  features: Features,
  labels: ArrayLike<number>,
  classes: number,
  l2: number,
): LinearProbe {
  const scale = scaleOf(features);
  const x = withBias(features, scale);
  const y = new Matrix(labels.length, classes).fill(-1);
  for (let i = 0; i < labels.length; i++) y.set(i, labels[i]!, 1);
  // Of both forms the one with the smaller system: they are equal.
  const weights =
    x.rows >= x.columns
      ? solved(x.transpose().mmul(x), l2, x.transpose().mmul(y))
      : x.transpose().mmul(solved(x.mmul(x.transpose()), l2, y));
  return {
    choices(tested) {
      const scores = withBias(tested, scale).mmul(weights);
      return Int32Array.from({ length: scores.rows }, (_, i) => scores.maxRowIndex(i)[1]!);
    },
  };
}

function solved(square: Matrix, l2: number, right: Matrix): Matrix {
  return new CholeskyDecomposition(square.add(Matrix.eye(square.rows).mul(l2))).solve(right);
}

interface Scale {
  mean: Float64Array;
  deviation: Float64Array;
}

function scaleOf({ data, width }: Features): Scale {
  const rows = data.length / width;
  const mean = new Float64Array(width);
  for (let i = 0; i < data.length; i++) mean[i % width]! += data[i]! / rows;
  const variance = new Float64Array(width);
  for (let i = 0; i < data.length; i++) variance[i % width]! += (data[i]! - mean[i % width]!) ** 2 / rows;
  return { mean, deviation: variance.map((one) => Math.sqrt(one) + 1e-5) };
}

function withBias({ data, width }: Features, { mean, deviation }: Scale): Matrix {
  const x = new Matrix(data.length / width, width + 1);
  for (let i = 0; i < x.rows; i++) {
    for (let c = 0; c < width; c++) x.set(i, c, (data[i * width + c]! - mean[c]!) / deviation[c]!);
    x.set(i, width, BIAS);
  }
  return x;
}
