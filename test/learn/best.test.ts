import { expect, test } from "vitest";
import { betterBest } from "../../student-trainer/learn/best.ts";
import type { Evaluation } from "../../student-trainer/report/evaluate.ts";

/** What was found on validation, as far as a choice looks at it. */
function found(accuracy: number, kl?: number) {
  const teacher = kl === undefined ? undefined : { agreement: 0.5, kl, euclidean: 1 };
  return new Map([["validation", { accuracy, teacher } as Evaluation]]);
}

const byAccuracy = { split: "validation", metric: "accuracy" } as const;
const byKl = { split: "validation", metric: "kl" } as const;

test("the highest accuracy is the best, the smallest KL; of equals the earlier", () => {
  const first = betterBest(undefined, byAccuracy, 10, found(0.5));
  expect(first).toEqual({ ...byAccuracy, step: 10, value: 0.5 });
  expect(betterBest(first, byAccuracy, 20, found(0.5))).toBeUndefined();
  expect(betterBest(first, byAccuracy, 20, found(0.4))).toBeUndefined();
  expect(betterBest(first, byAccuracy, 20, found(0.6))).toMatchObject({ step: 20, value: 0.6 });
  const close = betterBest(undefined, byKl, 10, found(0.5, 0.2));
  expect(betterBest(close, byKl, 20, found(0.9, 0.3))).toBeUndefined();
  expect(betterBest(close, byKl, 20, found(0.1, 0.1))).toMatchObject({ step: 20, value: 0.1 });
});

test("a best that was chosen otherwise than the config says now counts for nothing", () => {
  const best = betterBest(undefined, byAccuracy, 10, found(0.9));
  expect(betterBest(best, byKl, 20, found(0.5, 0.7))).toEqual({ ...byKl, step: 20, value: 0.7 });
  const other = { split: "minival", metric: "accuracy" } as const;
  expect(betterBest(best, other, 20, found(0.5))).toBeUndefined(); // nothing was found on it
});

test("what is no number is never the best, and without the config's wish there is none", () => {
  expect(betterBest(undefined, byKl, 10, found(0.5, Number.NaN))).toBeUndefined();
  expect(betterBest(undefined, byKl, 10, found(0.5))).toBeUndefined();
  expect(betterBest(undefined, undefined, 10, found(0.5))).toBeUndefined();
});
