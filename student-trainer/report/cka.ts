/** Features of images, row by row: [N, width]. */
export interface Features {
  data: Float32Array;
  width: number;
}

/**
 * Linear centred kernel alignment of two representations of the same images (Kornblith et al., arXiv 1905.00414,
 * equation 4, by its kernels): 1 where one is a rotation and scaling of the other, whatever their widths; not above 1.
 * In float64; takes N² products of rows. Not a number where one of them is constant.
 */
export function linearCka(a: Features, b: Features): number {
  const [x, y] = [centred(a), centred(b)];
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++)
    for (let j = 0; j <= i; j++) {
      const [k, l] = [dot(x[i]!, x[j]!), dot(y[i]!, y[j]!)];
      const times = i === j ? 1 : 2; // kernels are symmetric
      xy += times * k * l;
      xx += times * k * k;
      yy += times * l * l;
    }
  return xy / Math.sqrt(xx * yy);
}

/** Rows, less the mean of all rows. */
function centred({ data, width }: Features): Float64Array[] {
  const rows = Array.from({ length: data.length / width }, (_, i) =>
    Float64Array.from(data.subarray(i * width, (i + 1) * width)),
  );
  const mean = new Float64Array(width);
  for (const row of rows) for (let c = 0; c < width; c++) mean[c]! += row[c]! / rows.length;
  for (const row of rows) for (let c = 0; c < width; c++) row[c]! -= mean[c]!;
  return rows;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let c = 0; c < a.length; c++) sum += a[c]! * b[c]!;
  return sum;
}
