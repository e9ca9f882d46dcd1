import { CholeskyDecomposition, Matrix } from "ml-matrix";
import { type Features, rowsOf } from "./cka.ts";
import { products, type Rows, transposed } from "./products.ts";

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
  const byFeature = transposed(x);
  const targets: Rows = Array.from({ length: classes }, (_, k) =>
    Float64Array.from({ length: x.length }, (_, i) => (labels[i] === k ? 1 : -1)),
  );
  // Weights of each class. Of the two forms the one with the smaller system: they are equal.
  const weights =
    x.length >= byFeature.length
      ? solved(products(byFeature, byFeature), l2, products(targets, byFeature))
      : products(solved(products(x, x), l2, targets), byFeature);
  return {
    choices(tested) {
      const scores = products(withBias(tested, scale), weights);
      return Int32Array.from(scores, (row) => row.indexOf(row.reduce((a, b) => Math.max(a, b))));
    },
  };
}

/** (square + l2 I)⁻¹ applied to each row of `right`. */
function solved(square: Rows, l2: number, right: Rows): Rows {
  for (const [i, row] of square.entries()) row[i]! += l2;
  const matrix = (rows: Rows) => Matrix.checkMatrix(rows.map((row) => Array.from(row)));
  const solution = new CholeskyDecomposition(matrix(square)).solve(matrix(transposed(right)));
  return transposed(Array.from({ length: solution.rows }, (_, i) => Float64Array.from(solution.getRow(i))));
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

function withBias(features: Features, { mean, deviation }: Scale): Rows {
  return rowsOf(features).map((row) => {
    const scaled = new Float64Array(row.length + 1).fill(BIAS);
    scaled.set(row.map((value, c) => (value - mean[c]!) / deviation[c]!));
    return scaled;
  });
}
