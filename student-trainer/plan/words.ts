import { availableParallelism } from "node:os";
import { bytes, compact, counted, duration, percent } from "../report/words.ts";
import { rateOf } from "./bottleneck.ts";
import type { Pace, TeacherPace } from "./parts.ts";
import type { Plan } from "./plan.ts";

/** A plan as the terminal shows it. */
export function planTable(plan: Plan, batch: number): string {
  const { teachers, together, evaluation } = plan;
  const together1 = batch / together.stepSeconds;
  const evaluations =
    evaluation.last.images === 0
      ? ""
      : `, ${evaluation.times} ${evaluation.times === 1 ? "evaluation" : "evaluations"} of ${span(evaluation.each.seconds)} and ${span(evaluation.last.seconds)} for the last`;
  const rows: [string, string][] = [
    ["views", `${rate(plan.views)} alone`],
    ...teachers.map((teacher): [string, string] => ["teacher", teacherWords(teacher, teachers.length > 1)]),
    ["student", `${rate(plan.student)} alone`],
    ["together", `${compact(together1)} images/s, ${compact(1000 * together.stepSeconds)} ms a step`],
    ["bottleneck", `${plan.bottleneck.part}${sharedCores(plan, together1)}`],
    ["steps", `${counted(plan.totalSteps - plan.step)}${plan.step > 0 ? ` after step ${plan.step}` : ""}`],
    ["time left", duration(plan.secondsLeft)],
    ["", `of it ${span(plan.startSeconds)} to begin${evaluations}`],
    [
      "to send",
      plan.send.images === 0 ? "" : `${bytes(plan.send.bytes)} for ${counted(plan.send.images)} images`,
    ],
    ["to pay", plan.teacherSeconds === undefined ? "" : `${span(plan.teacherSeconds)} of teachers computing`],
    ["memory", `${bytes(plan.memoryBytes)} in this process`],
    ["disk", `${bytes(plan.diskBytes)}, a checkpoint ${bytes(together.save.bytes)}`],
    [
      "measured with",
      `${counted(plan.askedImages)} images that teachers were asked about, ${together.steps} steps of all together`,
    ],
  ];
  return rows
    .filter(([, said]) => said !== "")
    .map(([name, said]) => `${name.padEnd(14)} ${said}`)
    .join("\n");
}

function rate(pace: Pace): string {
  return `${compact(rateOf(pace))} images/s`;
}

function teacherWords(teacher: TeacherPace, named: boolean): string {
  const said = `${rate(teacher)} alone${named ? `, ${teacher.name}` : ""}`;
  if (teacher.computePerImage === undefined || teacher.linkSeconds === undefined) return said;
  const [compute, link] = [1000 * teacher.computePerImage, 1000 * teacher.linkSeconds];
  return `${said} (computes ${compact(compute)} ms an image; ${compact(link)} ms a request on the way)`;
}

/** Where the parts hold each other up, the slowest one alone does not explain the speed. */
function sharedCores({ bottleneck }: Plan, together: number): string {
  const share = together / bottleneck.imagesPerSecond;
  if (share > 0.85) return "";
  return `; together ${percent(share, 0)} of its pace alone: the parts share ${availableParallelism()} cores`;
}

/** Seconds in words, short ones with digits. */
function span(seconds: number): string {
  return seconds < 10 ? `${compact(seconds)} s` : duration(seconds);
}
