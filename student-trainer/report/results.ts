import { bySplit } from "./by-split.ts";
import { table } from "./document.ts";
import type { EvaluationLine } from "./metrics.ts";
import type { BySplit, Summary } from "./summary.ts";
import { compact, escaped, percent } from "./words.ts";

/** A column of a table of splits. */
interface Column {
  head: string;
  of: (split: string) => number | undefined;
  format: (value: number) => string;
}

const share = (value: number) => percent(value, 2);
const nats = (value: number) => value.toFixed(4);
const index = (value: number) => value.toFixed(3);

/** The figures of a run as tables: of the end of the run, or of its last evaluations while it has not ended. */
export function resultTables(last: Map<string, EvaluationLine>, summary: Summary | undefined): string {
  if (last.size === 0) return "<p>No evaluation yet.</p>";
  if (!summary) return splitTable([...last.keys()], columnsOfLines(last));
  const splits = [...last.keys()].filter((split) => split in summary.student.accuracy);
  const { teacher, teachers = [], best, probes = [] } = summary;
  return [
    splitTable(splits, [
      column("student accuracy", summary.student.accuracy, share),
      column("its top 5", summary.student.accuracyTop5, share),
      column(teachers.length > 1 ? "ensemble accuracy" : "teacher accuracy", teacher?.accuracy, share),
      column("its top 5", teacher?.accuracyTop5, share),
      ...columnsOfDistances(summary),
    ]),
    teachers.length > 1
      ? explained("Agreement and distances are from the mean of the teachers' probabilities.")
      : "",
    ...teachers.map((one, nth) =>
      titled(
        `From teacher ${nth + 1}, ${one.url}`,
        splitTable(splits, [
          column("its accuracy", one.accuracy, share),
          column("its top 5", one.accuracyTop5, share),
          ...columnsOfDistances(one),
        ]),
      ),
    ),
    best ? titled(bestTitle(best), bestTable(best, splits, summary.steps)) : "",
    probes.length > 0 ? titled("Few-shot linear probe of the student's features", probeTable(probes)) : "",
  ].join("");
}

function columnsOfLines(last: Map<string, EvaluationLine>): Column[] {
  return [
    column("student accuracy", bySplit(last, "accuracy"), share),
    column("its top 5", bySplit(last, "accuracyTop5"), share),
    ...columnsOfDistances({
      agreement: bySplit(last, "agreement"),
      agreementTop5: bySplit(last, "agreementTop5"),
      kl: bySplit(last, "kl"),
      euclidean: bySplit(last, "euclidean"),
      cka: bySplit(last, "cka"),
    }),
  ];
}

type Distances = Pick<Summary, "agreement" | "agreementTop5" | "kl" | "euclidean" | "cka">;

function columnsOfDistances({ agreement, agreementTop5, kl, euclidean, cka }: Distances): Column[] {
  return [
    column("agreement", agreement, share),
    column("top 5", agreementTop5, share),
    column("KL (t = 1, nats)", kl, nats),
    column("euclidean", euclidean, compact),
    column("CKA", cka, index),
  ];
}

type Best = NonNullable<Summary["best"]>;

function bestTable(best: Best, splits: string[], steps: number): string {
  if (best.step === steps) return explained("It is the last step's: the figures above are its own.");
  return splitTable(splits, [
    column("student accuracy", best.accuracy, share),
    column("its top 5", best.accuracyTop5, share),
    ...columnsOfDistances(best),
  ]);
}

function bestTitle({ step, split, metric }: Best): string {
  return `The best checkpoint: step ${step}, by ${metric} on ${split}`;
}

function column(head: string, values: BySplit | undefined, format: Column["format"]): Column {
  return { head, of: (split) => values?.[split], format };
}

/** A row a split; columns that no split has are left out. */
function splitTable(splits: string[], columns: Column[]): string {
  const filled = columns.filter(({ of }) => splits.some((split) => of(split) !== undefined));
  const rows = splits.map((split) => [
    split,
    ...filled.map(({ of, format }) => {
      const value = of(split);
      return value === undefined ? "–" : format(value);
    }),
  ]);
  return textTable(["split", ...filled.map(({ head }) => head)], rows);
}

function probeTable(probes: NonNullable<Summary["probes"]>): string {
  const rows = probes.flatMap(({ on, from, shots }) =>
    shots.map(({ shots, accuracy, accuracies }) => [
      on,
      from,
      String(shots),
      share(accuracy),
      `${share(Math.min(...accuracies))} … ${share(Math.max(...accuracies))}`,
    ]),
  );
  return textTable(
    ["tested on", "shots from", "images a class", "accuracy, mean of draws", "least … most"],
    rows,
  );
}

/** @param rows cells as text */
function textTable(heads: string[], rows: string[][]): string {
  return table(
    heads,
    rows.map((row) => row.map(escaped)),
  );
}

function titled(title: string, html: string): string {
  return `<h3>${escaped(title)}</h3>${html}`;
}

function explained(text: string): string {
  return `<p>${escaped(text)}</p>`;
}
