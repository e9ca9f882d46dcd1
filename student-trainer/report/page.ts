import type { Card } from "@funmatch/wire";
import type { Contract } from "../teach/contract.ts";
import { chartsOf } from "./curves.ts";
import { document, figure, section } from "./document.ts";
import type { Curves, EvaluationLine } from "./metrics.ts";
import { resultTables } from "./results.ts";
import { type StudentSettings, studentName } from "./student-name.ts";
import type { Summary } from "./summary.ts";
import { compact, counted, duration, escaped, percent } from "./words.ts";

/** All that a report tells. */
export interface Told {
  name: string;
  /** config.yaml as it stands. */
  config: string;
  settings: {
    design: string;
    teachers?: { resolution?: number }[];
    student: StudentSettings;
    batch: number;
  };
  curves: Curves;
  /** Absent while the run has not ended. */
  summary?: Summary;
  /** Of each teacher. */
  cards: Card[];
  /** What was agreed with each teacher before the first step. */
  contracts: Contract[];
  /** PNG */
  samples?: Buffer;
}

/** The report as one HTML page that loads nothing. */
export function pageOf(told: Told): string {
  const { name, curves, summary, cards, samples, config } = told;
  const sections = [
    tiles(told),
    section(
      "Curves",
      `<div class="charts">${chartsOf(curves, summary?.teacher?.accuracy ?? {})
        .map(figure)
        .join("")}</div>`,
    ),
    warnings(told.contracts),
    samples && sampleSection(samples, told.settings),
    section("Results", results(told)),
    ...cards.map((card, i) =>
      section(cards.length > 1 ? `Teacher ${i + 1}` : "Teacher", facts(cardFacts(card))),
    ),
    section("Configuration", `<pre>${escaped(config)}</pre>`),
  ];
  return document({ title: name, subtitle: subtitle(told), sections });
}

function subtitle({ settings, cards, summary, curves }: Told): string {
  const { design, student, batch } = settings;
  const names = cards.map(({ id }) => id).join(" and ");
  const teacher = names ? `taught by ${names}` : design === "labels" ? "taught by labels" : "";
  const steps = summary
    ? `${counted(summary.steps)} steps of ${batch}`
    : `step ${counted(curves.lastStep)}, not ended yet`;
  return [`design ${design}`, `${studentName(student)} at ${student.resolution} px`, teacher, steps]
    .filter(Boolean)
    .join(" · ");
}

/** The figures that matter first; of the split furthest from training. */
function tiles(told: Told): string {
  const last = lastEvaluations(told.curves.evaluations);
  const split = ["test", "validation", "train"].find((one) => last.has(one));
  const { summary } = told;
  const found = split === undefined ? undefined : last.get(split);
  const all: [string, string, string][] = [];
  if (split !== undefined && found) {
    const accuracy = summary?.student.accuracy[split] ?? found.accuracy;
    const teacher = summary?.teacher?.accuracy[split];
    all.push([
      `${split} accuracy`,
      percent(accuracy),
      teacher === undefined ? "" : `teacher ${percent(teacher)}`,
    ]);
    const agreement = summary?.agreement[split] ?? found.agreement;
    const kl = summary?.kl[split] ?? found.kl;
    if (agreement !== undefined)
      all.push(["agreement", percent(agreement), kl === undefined ? "" : `KL ${compact(kl)}`]);
  }
  if (summary) {
    const { teacher, teachers = [], student } = summary;
    const whom = teachers.length > 1 ? "the teachers together" : "the teacher";
    const smaller = teacher ? `${compact(teacher.parameters / student.parameters)} × fewer than ${whom}` : "";
    all.push(["parameters", compact(student.parameters), smaller]);
    all.push([
      "images per second",
      compact(summary.imagesPerSecond),
      teacher ? `${percent(summary.waitingForTeacher)} waiting for the teacher` : "",
    ]);
    if (teacher) all.push(["verified steps", counted(summary.verifiedSteps), `of ${counted(summary.steps)}`]);
    if (summary.best) all.push(bestTile(summary.best));
  }
  const html = all.map(
    ([label, value, beside]) =>
      `<div><dt>${escaped(label)}</dt><dd>${escaped(value)}</dd><dd class="beside">${escaped(beside)}</dd></div>`,
  );
  return `<dl class="tiles">${html.join("")}</dl>`;
}

function bestTile({ step, split, metric, value }: NonNullable<Summary["best"]>): [string, string, string] {
  const shown = metric === "kl" || metric === "euclidean" ? compact(value) : percent(value);
  return [`best ${metric === "kl" ? "KL" : metric}`, shown, `on ${split}, at step ${counted(step)}`];
}

function lastEvaluations(lines: EvaluationLine[]): Map<string, EvaluationLine> {
  return new Map(lines.map((line) => [line.split, line]));
}

/** What looked wrong with a teacher before the first step. */
function warnings(contracts: Contract[]): string {
  const all = contracts.flatMap(({ warnings }) => warnings);
  if (all.length === 0) return "";
  return section("Warnings", `<ul>${all.map((one) => `<li>${escaped(one)}</li>`).join("")}</ul>`);
}

function sampleSection(samples: Buffer, settings: Told["settings"]): string {
  const beside = besideStudent(settings);
  const who = beside ? "student and teacher" : settings.design === "labels" ? "the student" : "the teacher";
  const text = beside
    ? `Views of the first step, in pairs of rows: above the student's, below the teacher's of the same images, ${beside}.`
    : `Views of the first step${settings.design === "labels" ? "" : "; the student trained on the same"}.`;
  const image = `<img class="samples" alt="augmented images in a grid" src="data:image/png;base64,${samples.toString("base64")}">`;
  return section(`What ${who} saw`, `<p>${text}</p>${image}`);
}

/** In which way the teacher's views are not the student's, if they are not. */
function besideStudent({ design, teachers = [], student }: Told["settings"]): string | undefined {
  if (design.startsWith("ind/")) return "drawn independently";
  if (design === "fix/cc") return "the one that it was asked about";
  if (design === "fix/ic_ens") return "the first of those that its prediction is the mean over";
  const rescaled = teachers.some(({ resolution = student.resolution }) => resolution !== student.resolution);
  return rescaled ? "the same at its resolution" : undefined;
}

function results({ curves, summary }: Told): string {
  const tables = resultTables(lastEvaluations(curves.evaluations), summary);
  return tables + (summary ? facts(summaryFacts(summary)) : "");
}

function summaryFacts(summary: Summary): [string, string][] {
  const { teacher, student, cache } = summary;
  return [
    ["steps", counted(summary.steps)],
    ["verified steps", [counted(summary.verifiedSteps), summary.unverified].filter(Boolean).join(": ")],
    ["time", duration(summary.seconds)],
    ["images per second", compact(summary.imagesPerSecond)],
    ["waiting for the teacher", percent(summary.waitingForTeacher)],
    ["student parameters", counted(student.parameters)],
    ["their digest", student.parametersSha256],
    ["teacher parameters", teacher ? counted(teacher.parameters) : "–"],
    ["teacher version", teacher?.version ?? "–"],
    ["evaluation cache", `${cache.hits} hits, ${cache.misses} misses`],
    ["corrupt images", corruptWords(summary.corruptImages ?? {})],
  ];
}

function corruptWords(bySplit: Record<string, number>): string {
  const counts = Object.entries(bySplit).map(([split, count]) => `${counted(count)} in ${split}`);
  if (counts.length === 0) return "none";
  return `${counts.join(", ")}: others stood in for them in training, evaluation left them out`;
}

function cardFacts(card: Card): [string, string][] {
  const { input, runtime } = card;
  return [
    ["model", card.id],
    ["version", card.version],
    ["parameters", counted(card.parameters)],
    ["classes", card.labels ? `${card.classes}: ${card.labels.join(", ")}` : String(card.classes)],
    ["input", `${input.resolution} px, ${input.channels} channels, values ${input.valueRange.join(" … ")}`],
    ["resizes other sizes", input.resizes ? "yes" : "no"],
    [
      "bit-stable",
      card.bitStable
        ? "yes: a resumed run equals an uninterrupted one bit for bit"
        : "no: a resumed run cannot be promised to equal an uninterrupted one bit for bit",
    ],
    ...Object.entries(runtime).map(([key, value]): [string, string] => [key, String(value)]),
  ];
}

function facts(pairs: [string, string][]): string {
  return `<dl class="facts">${pairs.map(([k, v]) => `<dt>${escaped(k)}</dt><dd>${escaped(v)}</dd>`).join("")}</dl>`;
}
