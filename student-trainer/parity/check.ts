/** How near a value must come to the golden one. */
export type Tolerance =
  | { absolute: number }
  /** Of each value; values below 1 % of the array's largest are measured against that 1 %. */
  | { relative: number }
  /** L2 norm of the difference over the L2 norm of the golden array. */
  | { relativeL2: number }
  /** Largest difference of whole levels, and the least share of values that are equal. */
  | { levels: number; equal: number };

/** One comparison, measured. */
export interface Check {
  what: string;
  absolute: number;
  relative: number;
  /** The tolerance in words. */
  allowed: string;
  /** The measured error as a share of the tolerance; above 1 (or not a number) it is outside. */
  used: number;
  note?: string;
  /** Inside only in a run with other last bits: the plain run is outside. */
  nudged?: boolean;
}

export interface Row {
  name: string;
  checks: Check[];
}

export function isInside(check: Check): boolean {
  return check.used <= 1;
}

/** Compares an array with the golden one; arrays of other length are outside any tolerance, and so is NaN. */
export function compare(
  what: string,
  actual: ArrayLike<number>,
  golden: ArrayLike<number>,
  tolerance: Tolerance,
): Check {
  if (actual.length !== golden.length)
    return failed(what, `${actual.length} values instead of ${golden.length}`);
  const errors = measure(actual, golden);
  const { absolute, l2 } = errors;
  const relative = "relativeL2" in tolerance ? l2 : errors.relative;
  const check = { what, absolute, relative };
  if ("absolute" in tolerance)
    return { ...check, allowed: `${tolerance.absolute} abs`, used: absolute / tolerance.absolute };
  if ("relative" in tolerance)
    return { ...check, allowed: `${tolerance.relative} rel`, used: relative / tolerance.relative };
  if ("relativeL2" in tolerance)
    return { ...check, allowed: `${tolerance.relativeL2} rel L2`, used: l2 / tolerance.relativeL2 };
  const { levels, equal } = tolerance;
  return {
    ...check,
    allowed: `${levels} level, ${equal * 100} % equal`,
    used: Math.max(absolute / levels, (1 - errors.equal) / (1 - equal)),
    note: `${(errors.equal * 100).toFixed(3)} % equal`,
  };
}

function measure(
  actual: ArrayLike<number>,
  golden: ArrayLike<number>,
): { absolute: number; relative: number; l2: number; equal: number } {
  let largest = 0;
  for (let i = 0; i < golden.length; i++) largest = Math.max(largest, Math.abs(golden[i]!));
  let [absolute, relative, squares, goldenSquares, equal] = [0, 0, 0, 0, 0];
  for (let i = 0; i < golden.length; i++) {
    const error = Math.abs(actual[i]! - golden[i]!);
    absolute = Math.max(absolute, error);
    if (error !== 0) relative = Math.max(relative, error / Math.max(Math.abs(golden[i]!), largest / 100));
    squares += error ** 2;
    goldenSquares += golden[i]! ** 2;
    if (error === 0) equal++;
  }
  const l2 = squares === 0 ? 0 : Math.sqrt(squares / goldenSquares);
  return { absolute, relative, l2, equal: golden.length === 0 ? 1 : equal / golden.length };
}

/** A comparison that could not even be made. */
export function failed(what: string, note: string): Check {
  return {
    what,
    absolute: Number.NaN,
    relative: Number.NaN,
    allowed: "",
    used: Number.POSITIVE_INFINITY,
    note,
  };
}

/** Many comparisons of one kind as one: the largest errors, and the name of the worst. */
export function worst(what: string, checks: Check[]): Check {
  let worstOne = checks[0];
  if (!worstOne) return failed(what, "nothing to compare");
  for (const check of checks) if (!(check.used <= worstOne.used)) worstOne = check;
  return {
    ...worstOne,
    what: `${what} (${checks.length})`,
    absolute: Math.max(...checks.map((check) => check.absolute)),
    relative: Math.max(...checks.map((check) => check.relative)),
    note: [`worst ${worstOne.what}`, worstOne.note].filter(Boolean).join(", "),
  };
}
