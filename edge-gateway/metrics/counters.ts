import type { Family, Sample } from "./exposition.ts";

/** What this process counts of its own answers; `help` says what of. */
const COUNTERS = {
  requests: "Requests that this process answered, by route and status",
  refusals: "Requests that it answered with a problem, by the problem's code",
  answers: "Logits calls answered, by what the evaluation cache did",
  images: "Images of answered logits calls",
  bytes: "Bytes of the bodies of answered logits calls",
} as const;

type Counter = keyof typeof COUNTERS;

const counted = new Map<Counter, Map<string, { labels: Sample["labels"]; value: number }>>();
let name: string | undefined;

/**
 * Adds to a counter of this process. Labels must be of few values: a series is kept as long as the process.
 *
 * @example
 * count("refusals", { code: "quota_exceeded", model: "prof", purpose: "train" });
 */
export function count(counter: Counter, labels: Sample["labels"], amount = 1): void {
  const series = counted.get(counter) ?? new Map();
  counted.set(counter, series);
  const key = Object.values(labels).join(" ");
  const one = series.get(key) ?? { labels, value: 0 };
  one.value += amount;
  series.set(key, one);
}

/** All counters of this process. `isolate` keeps those of several processes apart that answer at one address. */
export function countedHere(): Family[] {
  name ??= crypto.randomUUID().slice(0, 8);
  return Object.entries(COUNTERS).map(([counter, help]) => ({
    name: `funmatch_gateway_${counter}_total`,
    help,
    type: "counter",
    samples: [...(counted.get(counter as Counter)?.values() ?? [])].map(({ labels, value }) => ({
      labels: { ...labels, isolate: name! },
      value,
    })),
  }));
}
