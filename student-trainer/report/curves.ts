import type { Chart, Line } from "./charts.ts";
import type { Curves, EvaluationLine } from "./metrics.ts";
import type { Point, Series } from "./series.ts";
import { compact, percent } from "./words.ts";

/** Every split keeps its colour from chart to chart; those of other names share what is left. */
const SPLIT_COLOURS: Record<string, Line["colour"]> = { validation: 1, test: 2, train: 3 };
const OTHER_COLOURS: Line["colour"][] = [4, 5];

/** The charts of a report; those that a run has nothing for are left out. */
export function chartsOf(curves: Curves, teacherAccuracy: Record<string, number>): Chart[] {
  const colours = coloursOf(curves.evaluations);
  const loss = curves.loss.points();
  const waited = curves.waiting.points().some(({ max }) => max > 0);
  const whole = (share: number) => percent(share, 0);
  const charts: Chart[] = [
    {
      title: "Loss",
      caption: "distance from what is taught, on the training views",
      lines: one("loss", curves.loss),
      format: compact,
      log: spansDecades(loss),
    },
    {
      title: "Agreement",
      caption: "share of images on which student and teacher make the same first choice",
      lines: bySplit(curves.evaluations, "agreement", colours),
      format: whole,
      share: true,
    },
    {
      title: "Accuracy",
      caption: "share of images whose first choice is the label; dashed: the teacher",
      lines: [
        ...bySplit(curves.evaluations, "accuracy", colours),
        ...Object.entries(teacherAccuracy).map(([split, share]) =>
          level(split, share, curves.lastStep, colours),
        ),
      ],
      format: whole,
      share: true,
    },
    {
      title: "KL divergence",
      caption: "mean distance of the student from the teacher at temperature 1, in nats",
      lines: bySplit(curves.evaluations, "kl", colours),
      format: compact,
    },
    {
      title: "Learning rate",
      caption: "after warm-up and decay",
      lines: one("learning rate", curves.learningRate),
      format: compact,
      from0: true,
    },
    {
      title: "Throughput",
      caption: "images per second of training",
      lines: one("throughput", curves.imagesPerSecond),
      format: compact,
      from0: true,
    },
    {
      title: "Waiting for the teacher",
      caption: "share of a step's time that the student stood idle",
      lines: waited ? one("waiting", curves.waiting) : [],
      format: percent,
      from0: true,
    },
  ];
  return charts.filter(({ lines }) => lines.some(({ points }) => points.length > 0));
}

function one(name: string, series: Series): Line[] {
  return [{ name, points: series.points(), colour: 1 }];
}

type Colours = Map<string, Line["colour"]>;

function coloursOf(evaluations: EvaluationLine[]): Colours {
  const names = [...new Set(evaluations.map(({ split }) => split))];
  const others = names.filter((name) => !(name in SPLIT_COLOURS));
  return new Map(
    names.map((name) => [
      name,
      SPLIT_COLOURS[name] ?? OTHER_COLOURS[others.indexOf(name) % OTHER_COLOURS.length]!,
    ]),
  );
}

function bySplit(
  evaluations: EvaluationLine[],
  figure: "accuracy" | "agreement" | "kl",
  colours: Colours,
): Line[] {
  const lines = new Map<string, Line>();
  for (const { split, step, [figure]: value } of evaluations) {
    if (value === undefined) continue;
    const line = lines.get(split) ?? { name: split, points: [], colour: colours.get(split) ?? 1 };
    line.points.push(exactly(step, value));
    lines.set(split, line);
  }
  return [...lines.values()];
}

function level(split: string, value: number, lastStep: number, colours: Colours): Line {
  return {
    name: `teacher, ${split}`,
    points: [exactly(0, value), exactly(lastStep, value)],
    colour: colours.get(split) ?? 1,
    dashed: true,
  };
}

function exactly(step: number, value: number): Point {
  return { step, mean: value, min: value, max: value, count: 1 };
}

function spansDecades(points: Point[]): boolean {
  const means = points.map(({ mean }) => mean);
  const least = Math.min(...means);
  return least > 0 && Math.max(...means) / least > 30;
}
