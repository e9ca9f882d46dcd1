import type { UsageRow } from "../quota/usage-table.ts";
import { sum } from "../quota/usage-totals.ts";
import { date, dateAndTime } from "./numbers.ts";

export const PERIODS = ["day", "week", "month"] as const;
export type Period = (typeof PERIODS)[number];

/** A period cut into hours or days, in UTC. */
export interface Span {
  /** What a usage table is asked for: ISO 8601. */
  from: string;
  to: string;
  unit: "hour" | "day";
  /** Oldest first; the last is still under way. */
  slots: { key: string; label: string }[];
}

/** The values of one thing in each slot of a span. */
export interface Series {
  name: string;
  values: number[];
}

const HOUR_MS = 3_600_000;
const LENGTH = { day: 24, week: 7 * 24, month: 30 } as const;

/** More colours than these nobody tells apart. */
const MOST_SERIES = 7;

/** The last 24 hours, the last 7 days by hour, or the last 30 days by day. */
export function spanOf(period: Period, now: number): Span {
  const unit = period === "month" ? "day" : "hour";
  const step = unit === "day" ? 24 * HOUR_MS : HOUR_MS;
  const last = Math.floor(now / step) * step;
  const starts = Array.from({ length: LENGTH[period] }, (_, i) => last - (LENGTH[period] - 1 - i) * step);
  const label = unit === "day" ? date : dateAndTime;
  return {
    from: new Date(starts[0]!).toISOString(),
    to: new Date(last + step).toISOString(),
    unit,
    slots: starts.map((start) => ({ key: keyOf(new Date(start).toISOString(), unit), label: label(start) })),
  };
}

/** Images of each model in each slot, the busiest first; those beyond the seventh are summed up. */
export function imagesByModel(rows: readonly UsageRow[], span: Span): Series[] {
  const models = new Map<string, Series>();
  for (const row of rows) {
    const series = models.get(row.model) ?? { name: row.model, values: span.slots.map(() => 0) };
    models.set(row.model, series);
    book(series, span, row, row.images);
  }
  const sorted = [...models.values()].sort((a, b) => sum(b.values) - sum(a.values));
  const rest = sorted.slice(MOST_SERIES - 1);
  if (rest.length < 2) return sorted;
  const values = span.slots.map((_, i) => sum(rest.map((one) => one.values[i]!)));
  return [...sorted.slice(0, MOST_SERIES - 1), { name: `${rest.length} more models`, values }];
}

/** Evaluation calls in each slot: those that the store answered, and those that a teacher did. */
export function evaluationsByAnswerer(rows: readonly UsageRow[], span: Span): Series[] {
  const stored = { name: "answered from the store", values: span.slots.map(() => 0) };
  const asked = { name: "answered by the teacher", values: span.slots.map(() => 0) };
  for (const row of rows) {
    if (row.purpose !== "eval") continue;
    book(stored, span, row, row.hits);
    book(asked, span, row, row.calls - row.hits);
  }
  return [stored, asked];
}

function book(series: Series, { slots, unit }: Span, { hour }: UsageRow, value: number): void {
  const key = keyOf(hour, unit);
  const at = slots.findIndex((slot) => slot.key === key);
  if (at >= 0) series.values[at]! += value;
}

function keyOf(time: string, unit: Span["unit"]): string {
  return time.slice(0, unit === "day" ? 10 : 13);
}
