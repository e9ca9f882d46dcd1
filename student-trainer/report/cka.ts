import { eachProduct, type Rows, transposed } from "./products.ts";

/** Features of images, row by row: [N, width]. */
export interface Features {
  data: Float32Array;
  width: number;
}

/**
 * Linear centred kernel alignment of two representations of the same images (Kornblith et al., arXiv 1905.00414,
 * section 3): ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖) of the columns less their means. 1 where one is a rotation and scaling of the
 * other, whatever their widths; not above 1. In float64. Not a number where one of them is constant.
 */
export function linearCka(a: Features, b: Features): number {
  const [x, y] = [centredColumns(a), centredColumns(b)];
  return squares(x, y) / Math.sqrt(squares(x, x) * squares(y, y));
}

/** The squared Frobenius norm of a·bᵀ. */
function squares(a: Rows, b: Rows): number {
  let sum = 0;
  eachProduct(a, b, (_i, _j, product) => {
    sum += product * product;
  });
  return sum;
}

function centredColumns(features: Features): Rows {
  const columns = transposed(rowsOf(features));
  for (const column of columns) {
    const mean = column.reduce((sum, value) => sum + value, 0) / column.length;
    for (let i = 0; i < column.length; i++) column[i]! -= mean;
  }
  return columns;
}

/** The rows of features in float64. */
export function rowsOf({ data, width }: Features): Rows {
  return Array.from({ length: data.length / width }, (_, i) =>
    Float64Array.from(data.subarray(i * width, (i + 1) * width)),
  );
}
