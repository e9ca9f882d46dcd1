import { median, type Row } from "../benchmark.ts";

/** One size of a series, and what it cost each time. */
export interface Point {
  /** What is counted, in the words of the row: "batch 16". */
  name: string;
  /** How many units the cost is divided by: 1 where it should be the same for all sizes. */
  units: number;
  /** How large it is, where that is not `units`. */
  size?: number;
  costs: number[];
  details?: Row["details"];
}

/**
 * A row for each size of a series: its cost for one unit, beside the series' lowest. The ratio says how far from linear
 * it is: 1 where a unit costs as little as anywhere in the series, 0.5 where it costs twice as much. The power by which
 * the whole cost grew says which way: under 1 something fixed is shared by more units, over 1 each costs more.
 *
 * @param o.what begins every row's name
 * @param o.each what a unit is, as in "image"
 */
export function seriesRows(
  points: Point[],
  o: { what: string; each: string; unit: Row["unit"]; whole: string },
): Row[] {
  const costs = points.map(({ costs, units }) => median(costs) / units);
  const lowest = Math.min(...costs);
  const growth = (i: number): Row["details"] => {
    const [now, before] = [points[i]!, points[i - 1]];
    if (!before) return {};
    const [costly, large] = [median(now.costs) / median(before.costs), sizeOf(now) / sizeOf(before)];
    return { "power by which the whole grew from the size before": Math.log(costly) / Math.log(large) };
  };
  return points.map(({ name, costs: all, details }, i) => ({
    name: `${o.what}, ${name}: each ${o.each}`,
    ...{ dtype: "float32", unit: o.unit, ours: costs[i]!, peers: { "if linear": lowest } },
    ratio: lowest / costs[i]!,
    details: {
      [o.whole]: median(all),
      [`${o.whole}, from least to most`]: `${digits(Math.min(...all))} to ${digits(Math.max(...all))}`,
      ...growth(i),
      ...details,
    },
  }));
}

function sizeOf({ units, size = units }: Point): number {
  return size;
}

function digits(value: number): string {
  return value.toPrecision(3);
}
