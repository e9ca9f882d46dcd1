/** The mean of some numbers; undefined of none. */
export function mean(values: number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, one) => sum + one, 0) / values.length;
}
