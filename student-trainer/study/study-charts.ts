import type { Chart, Colour, Line } from "../report/charts.ts";
import type { EvaluationLine } from "../report/metrics.ts";
import type { Point } from "../report/series.ts";
import { compact, percent } from "../report/words.ts";
import { valueWords } from "./cells.ts";
import { type Done, figureOf, type Group, type Panel } from "./gather.ts";
import { mean } from "./mean.ts";

type Figure = "accuracy" | "agreement" | "kl";

const WORDS: Record<Figure, { title: string; caption: string; share: boolean }> = {
  accuracy: { title: "Accuracy", caption: "share of images whose first choice is the label", share: true },
  agreement: {
    title: "Agreement",
    caption: "share of images on which student and teacher agree",
    share: true,
  },
  kl: { title: "KL divergence", caption: "mean distance from the teacher, in nats", share: false },
};

/** A figure on a split while the runs of one length went on: the paper's figure 3. */
export function stepsChart(
  panel: Panel,
  figure: Figure,
  split: string,
  length: Panel["lengths"][number],
): Chart {
  const groups = panel.groups.filter((group) => group.length === length && group.runs.length > 0);
  return {
    ...look(figure, split, groups),
    lines: [
      ...groups.map((group) =>
        lineOf(
          panel,
          group,
          meanCurve(group.runs, (line) => (line.split === split ? line[figure] : undefined)),
        ),
      ),
      ...(figure === "accuracy" ? teacherLevel(groups, split) : []),
    ],
  };
}

/** The distance on the training views while the runs of one length went on. */
export function lossChart(panel: Panel, length: Panel["lengths"][number]): Chart {
  const groups = panel.groups.filter((group) => group.length === length && group.runs.length > 0);
  return {
    title: "Training loss",
    caption: `distance from what is taught, on the training views${spread(groups)}`,
    lines: groups.map((group) => lineOf(panel, group, meanLoss(group.runs))),
    format: compact,
    log: true,
  };
}

/** What the runs came to, against their length: the paper's figure 4. */
export function lengthsChart(panel: Panel, figure: Figure, split: string): Chart {
  const done = panel.groups.filter(({ runs }) => runs.length > 0);
  return {
    ...look(figure, split, done),
    title: `${WORDS[figure].title} at the end, ${split}`,
    logSteps: true,
    lines: panel.lines
      .map((line) => done.filter((group) => group.line === line))
      .filter((groups) => groups.length > 0)
      .map((groups) => {
        const points = groups.flatMap(({ runs }) => {
          const values = runs.map(({ outcome }) => figureOf(outcome.summary, figure, split));
          const point = pointOf(
            runs[0]!.outcome.summary.steps,
            values.filter((value) => value !== undefined),
          );
          return point ? [point] : [];
        });
        return lineOf(panel, groups[0]!, points);
      }),
  };
}

function look(figure: Figure, split: string, groups: Group[]): Omit<Chart, "lines"> {
  const { title, caption, share } = WORDS[figure];
  return {
    title: `${title}, ${split}`,
    caption: caption + spread(groups),
    share,
    format: share ? (value) => percent(value, 0) : compact,
  };
}

function spread(groups: Group[]): string {
  const seeds = Math.max(0, ...groups.map(({ runs }) => runs.length));
  return seeds > 1 ? `; mean of up to ${seeds} seeds` : "";
}

/** A line keeps its colour in every plot of a study; from the tenth on they come again, dashed. */
function lineOf(panel: Panel, { line }: Group, points: Point[]): Line {
  const nth = panel.lines.indexOf(line);
  return {
    ...{ name: valueWords(line), points, colour: ((nth % 9) + 1) as Colour },
    ...(nth >= 9 ? { dashed: true } : {}),
  };
}

function teacherLevel(groups: Group[], split: string): Line[] {
  const runs = groups.flatMap((group) => group.runs);
  const share = runs
    .map(({ outcome }) => outcome.summary.teacher?.accuracy[split])
    .find((one) => one !== undefined);
  if (share === undefined) return [];
  const end = Math.max(...runs.map(({ outcome }) => outcome.summary.steps));
  const at = (step: number): Point => ({ step, mean: share, min: share, max: share, count: 1 });
  return [{ name: "teacher", points: [at(0), at(end)], colour: 9, dashed: true }];
}

function meanCurve(runs: Done[], value: (line: EvaluationLine) => number | undefined): Point[] {
  const bySteps = new Map<number, number[]>();
  for (const { curves } of runs)
    for (const line of curves.evaluations) {
      const found = value(line);
      if (found !== undefined) bySteps.set(line.step, [...(bySteps.get(line.step) ?? []), found]);
    }
  return pointsOf(bySteps);
}

function meanLoss(runs: Done[]): Point[] {
  const bySteps = new Map<number, number[]>();
  for (const { curves } of runs)
    for (const { step, mean: loss } of curves.loss.points())
      bySteps.set(step, [...(bySteps.get(step) ?? []), loss]);
  return pointsOf(bySteps);
}

function pointsOf(bySteps: Map<number, number[]>): Point[] {
  return [...bySteps]
    .sort(([a], [b]) => a - b)
    .flatMap(([step, values]) => {
      const point = pointOf(step, values);
      return point ? [point] : [];
    });
}

function pointOf(step: number, values: number[]): Point | undefined {
  const middle = mean(values);
  if (middle === undefined) return undefined;
  return { step, mean: middle, min: Math.min(...values), max: Math.max(...values), count: values.length };
}
