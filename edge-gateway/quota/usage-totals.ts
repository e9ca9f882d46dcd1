import type { UsageRow } from "./usage-table.ts";

/** What was used in all. */
export interface Totals {
  calls: number;
  images: number;
  bytes: number;
  hits: number;
  failures: number;
  /** Calls that may have been answered from the store. */
  evaluations: number;
}

export function totals(rows: readonly UsageRow[]): Totals {
  const of = (value: (row: UsageRow) => number) => sum(rows.map(value));
  return {
    calls: of(({ calls }) => calls),
    images: of(({ images }) => images),
    bytes: of((row) => row.bytes),
    hits: of(({ hits }) => hits),
    failures: of(({ failures }) => failures),
    evaluations: of(({ purpose, calls }) => (purpose === "eval" ? calls : 0)),
  };
}

/** Rows by model and purpose, by name. */
export function totalsByModel(
  rows: readonly UsageRow[],
): { model: string; purpose: string; totals: Totals }[] {
  const groups = Map.groupBy(rows, ({ model, purpose }) => `${model} ${purpose}`);
  return [...groups.keys()].sort().map((name) => {
    const group = groups.get(name)!;
    return { model: group[0]!.model, purpose: group[0]!.purpose, totals: totals(group) };
  });
}

export const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
