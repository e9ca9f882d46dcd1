import type { Curves } from "../report/metrics.ts";
import { type Cell, combinations, sameValue } from "./cells.ts";
import { mean } from "./mean.ts";
import type { Outcome } from "./outcome.ts";
import { rolesOf, type StudyConfig, type Value } from "./study-config.ts";

export interface Made {
  cell: Cell;
  outcome: Outcome;
  /** Of a run that is done. */
  curves?: Curves;
}

export type Done = Made & { outcome: Extract<Outcome, { state: "done" }>; curves: Curves };

/** The runs of one line at one length that differ in their seed alone, with the hyper-parameters that were chosen. */
export interface Group {
  line: Value;
  length: Value;
  /** Values of the keys that were chosen; empty where there was no choice. */
  chosen: Record<string, Value>;
  /** Finished runs. */
  runs: Done[];
  /** How many there should be. */
  wanted: number;
}

/** What one set of plots shows: the groups that agree in all keys that are neither line nor length. */
export interface Panel {
  values: Record<string, Value>;
  lines: Value[];
  lengths: Value[];
  groups: Group[];
}

/** Sorts the runs of a study by what its plots and tables show. */
export function panelsOf(study: StudyConfig, made: Made[]): Panel[] {
  const { lines, length, panels } = rolesOf(study);
  const of = (key: string | undefined): Value[] => (key === undefined ? [null] : study.grid[key]!);
  const combined = combinations(Object.fromEntries(panels.map((key) => [key, study.grid[key]!])));
  return combined.map((values) => ({
    values,
    lines: of(lines),
    lengths: of(length),
    groups: of(lines).flatMap((line) =>
      of(length).map((steps) => {
        const fixed = {
          ...values,
          ...(lines === undefined ? {} : { [lines]: line }),
          ...(length === undefined ? {} : { [length]: steps }),
        };
        return groupOf(
          study,
          line,
          steps,
          made.filter(({ cell }) => agrees(cell, fixed)),
        );
      }),
    ),
  }));
}

function agrees({ values }: Cell, wanted: Record<string, Value>): boolean {
  return Object.entries(wanted).every(([key, value]) => sameValue(values[key], value));
}

function groupOf(study: StudyConfig, line: Value, length: Value, made: Made[]): Group {
  const candidates = new Map<string, { chosen: Record<string, Value>; made: Made[] }>();
  for (const one of made) {
    const chosen = Object.fromEntries(rolesOf(study).chosen.map((key) => [key, one.cell.values[key]!]));
    const key = JSON.stringify(chosen);
    const candidate = candidates.get(key) ?? { chosen, made: [] };
    candidate.made.push(one);
    candidates.set(key, candidate);
  }
  const all = [...candidates.values()].map((candidate) => ({
    ...candidate,
    runs: candidate.made.filter(isDone),
  }));
  const best = all.reduce((a, b) => (scoreOf(study, b.runs) > scoreOf(study, a.runs) ? b : a));
  return { line, length, chosen: best.chosen, runs: best.runs, wanted: best.made.length };
}

/** Mean over the seeds of what is chosen by; more is better. Where nothing has run: less than anything. */
function scoreOf({ choose }: StudyConfig, runs: Done[]): number {
  if (!choose || runs.length === 0) return Number.NEGATIVE_INFINITY;
  const figures = runs.map(({ outcome }) => figureOf(outcome.summary, choose.by, choose.split));
  const score = mean(figures.filter((figure) => figure !== undefined));
  if (score === undefined) return Number.NEGATIVE_INFINITY;
  return choose.by === "kl" ? -score : score;
}

/** One figure of a run's summary on a split. */
export function figureOf(
  summary: Done["outcome"]["summary"],
  figure: "accuracy" | "agreement" | "kl",
  split: string,
): number | undefined {
  return figure === "accuracy" ? summary.student.accuracy[split] : summary[figure][split];
}

export function isDone(made: Made): made is Done {
  return made.outcome.state === "done" && made.curves !== undefined;
}
