import { rename, writeFile } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import type { Chart } from "../report/charts.ts";
import { document, figure, section, table } from "../report/document.ts";
import { readCurves } from "../report/metrics.ts";
import { compact, counted, duration, escaped, percent } from "../report/words.ts";
import { type Cell, valueWords } from "./cells.ts";
import { type Done, type Group, isDone, type Made, type Panel, panelsOf } from "./gather.ts";
import { mean } from "./mean.ts";
import { outcomeOf } from "./outcome.ts";
import { lengthsChart, lossChart, stepsChart } from "./study-charts.ts";
import { rolesOf, type StudyConfig } from "./study-config.ts";

/**
 * Writes the page of a study, `index.html` in its folder, from the files of its runs alone: also of a study of which
 * some runs are missing or failed, which it says.
 *
 * @returns its path
 */
export async function writeStudyPage(study: StudyConfig, cells: Cell[]): Promise<string> {
  const made = await Promise.all(cells.map(madeOf));
  const path = join(study.study, "index.html");
  await writeFile(`${path}.tmp`, studyPage(study, made));
  await rename(`${path}.tmp`, path);
  return path;
}

async function madeOf(cell: Cell): Promise<Made> {
  const outcome = await outcomeOf(cell);
  return outcome.state === "done"
    ? { cell, outcome, curves: await readCurves(join(cell.run, "metrics.jsonl")) }
    : { cell, outcome };
}

function studyPage(study: StudyConfig, made: Made[]): string {
  const done = made.filter(isDone);
  const panels = panelsOf(study, made);
  return document({
    title: study.title ?? basename(study.study),
    subtitle: subtitle(study, made),
    sections: [
      ...panels.map((panel) => panelSection(study, panel, done)),
      section("Runs", runsTable(study, made)),
    ],
  });
}

function subtitle(study: StudyConfig, made: Made[]): string {
  const done = made.filter(isDone);
  const failed = made.filter(({ outcome }) => outcome.state === "failed").length;
  const seconds = done.reduce((sum, { outcome }) => sum + outcome.summary.seconds, 0);
  const parameters = new Set(done.map(({ outcome }) => outcome.summary.student.parameters));
  return [
    `${done.length} of ${made.length} runs`,
    failed > 0 ? `${failed} failed` : "",
    `${duration(seconds)} of training`,
    parameters.size === 1 ? `student of ${compact([...parameters][0]!)} parameters` : "",
    `${Object.keys(study.grid).join(" × ")}`,
  ]
    .filter(Boolean)
    .join(" · ");
}

function panelSection(study: StudyConfig, panel: Panel, done: Done[]): string {
  const splits = splitsOf(done);
  const [shown] = splits;
  const title = Object.entries(panel.values)
    .map(([key, value]) => `${key} ${valueWords(value)}`)
    .join(", ");
  if (shown === undefined || panel.groups.every(({ runs }) => runs.length === 0))
    return section(escaped(title || "Figures"), "<p>No run has ended yet.</p>");
  const several = panel.lengths.length > 1;
  const ends = several
    ? splits
        .map((split) => lengthsChart(panel, "accuracy", split))
        .concat(lengthsChart(panel, "agreement", shown))
    : [];
  const byLength = panel.lengths.map((length) => {
    const charts = [
      stepsChart(panel, "accuracy", shown, length),
      stepsChart(panel, "agreement", shown, length),
      lossChart(panel, length),
      stepsChart(panel, "kl", shown, length),
    ];
    const heading = several ? `<h3>${lengthWords(study, length)}</h3>` : "";
    return `${heading}${figures(charts)}`;
  });
  return section(
    escaped(title || "Figures"),
    [
      groupTable(study, panel, splits),
      several ? `<h3>Against length</h3>${figures(ends)}` : "",
      ...byLength,
    ].join(""),
  );
}

/** Lines without a point are left out, and charts without a line: labels agree with no teacher. */
function figures(charts: Chart[]): string {
  const drawn = charts
    .map((chart) => ({ ...chart, lines: chart.lines.filter(({ points }) => points.length > 0) }))
    .filter(({ lines }) => lines.length > 0)
    // A key is drawn of several lines; a single one is named in words.
    .map((chart) => {
      const [line, ...others] = chart.lines;
      return others.length > 0 ? chart : { ...chart, caption: `${line!.name}: ${chart.caption}` };
    });
  return `<div class="charts">${drawn.map(figure).join("")}</div>`;
}

/** Those that the runs were evaluated on, the one furthest from training first. */
function splitsOf(done: Done[]): string[] {
  const all = new Set(done.flatMap(({ outcome }) => Object.keys(outcome.summary.student.accuracy)));
  const first = ["test", "validation"].filter((split) => all.delete(split));
  const train = all.delete("train") ? ["train"] : [];
  return [...first, ...all, ...train];
}

function lengthWords(study: StudyConfig, length: Panel["lengths"][number]): string {
  const { length: key } = rolesOf(study);
  return `${valueWords(length)} ${key?.split(".").at(-1) ?? ""}`.trim();
}

function groupTable(study: StudyConfig, panel: Panel, splits: string[]): string {
  const chosen = panel.groups.some((group) => Object.keys(group.chosen).length > 0);
  const { lines, length } = rolesOf(study);
  const heads = [
    ...[lines ?? "", ...(length === undefined ? [] : [length])],
    ...(chosen ? ["chosen"] : []),
    "seeds",
    ...splits.map((split) => `${split} accuracy`),
    ...splits.map((split) => `${split} agreement`),
    "training loss",
  ];
  const rows = panel.groups.map((group) => [
    ...[
      escaped(valueWords(group.line)),
      ...(length === undefined ? [] : [escaped(valueWords(group.length))]),
    ],
    ...(chosen ? [chosenWords(group)] : []),
    group.runs.length === group.wanted ? String(group.wanted) : `${group.runs.length} of ${group.wanted}`,
    ...splits.map((split) =>
      meanAndSpread(group.runs.map(({ outcome }) => outcome.summary.student.accuracy[split])),
    ),
    ...splits.map((split) =>
      meanAndSpread(group.runs.map(({ outcome }) => outcome.summary.agreement[split])),
    ),
    lastLoss(group.runs),
  ]);
  const how = study.choose
    ? `${study.choose.keys.join(", ")}: chosen by the mean ${study.choose.by} on ${study.choose.split} over the seeds; test is only reported. `
    : "";
  return `<p>${escaped(how)}Means over the seeds, ± half of the range from the least to the most.</p>${table(heads, rows)}`;
}

function chosenWords({ chosen }: Group): string {
  return escaped(
    Object.entries(chosen)
      .map(([key, value]) => `${key.split(".").at(-1)} ${valueWords(value)}`)
      .join(", "),
  );
}

function meanAndSpread(values: (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined);
  const middle = mean(known);
  if (middle === undefined) return "–";
  const half = (Math.max(...known) - Math.min(...known)) / 2;
  return known.length > 1 ? `${percent(middle, 2)} ± ${(100 * half).toFixed(2)}` : percent(middle, 2);
}

function lastLoss(runs: Done[]): string {
  const last = runs.map(({ curves }) => curves.loss.points().at(-1)?.mean);
  const loss = mean(last.filter((one) => one !== undefined));
  return loss === undefined ? "–" : compact(loss);
}

/** Every run, with the way to its report; missing and failed ones as such. */
function runsTable(study: StudyConfig, made: Made[]): string {
  const keys = Object.keys(study.grid);
  const splits = splitsOf(made.filter(isDone)).slice(0, 2);
  const rows = made.map(({ cell, outcome }) => {
    const values = keys.map((key) => escaped(valueWords(cell.values[key]!)));
    if (outcome.state === "missing") return [...values, "missing"];
    if (outcome.state === "failed") return [...values, `failed: ${escaped(outcome.why)}`];
    const { summary } = outcome;
    const report = relative(study.study, join(cell.run, "report.html"));
    return [
      ...values,
      `<a href="${encodeURI(report)}">report</a>`,
      ...splits.map((split) => {
        const share = summary.student.accuracy[split];
        return share === undefined ? "–" : percent(share, 2);
      }),
      `${counted(summary.verifiedSteps)} of ${counted(summary.steps)}`,
      outcome.audit,
      duration(summary.seconds),
    ];
  });
  return table(
    [...keys, "", ...splits.map((split) => `${split} accuracy`), "verified steps", "audit", "time"],
    rows,
  );
}
