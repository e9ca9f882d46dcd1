/** The nearest integer, a half going to the even neighbour, as C's `lrintf` and `tf.round` do. */
export function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
