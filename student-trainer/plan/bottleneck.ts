import type { Pace, TeacherPace } from "./parts.ts";

/** The teacher counts as the one that is waited for if its own computing fills so much of the time, else the link. */
const BUSY = 0.7;

/** The part that the others wait for. */
export interface Bottleneck {
  /** views, link, teacher or student */
  part: string;
  /** What it does alone. */
  imagesPerSecond: number;
}

/** Finds the slowest part. */
export function bottleneckOf(o: { views: Pace; teachers: TeacherPace[]; student: Pace }): Bottleneck {
  const rates: [string, number][] = [
    ["views", rateOf(o.views)],
    ["student", rateOf(o.student)],
  ];
  for (const teacher of o.teachers) {
    const which = o.teachers.length > 1 ? ` (${teacher.name})` : "";
    rates.push([slowPartOf(teacher) + which, rateOf(teacher)]);
  }
  const [part, imagesPerSecond] = rates.sort((a, b) => a[1] - b[1])[0]!;
  return { part, imagesPerSecond };
}

/** Images a second. */
export function rateOf({ images, seconds }: Pace): number {
  return images / seconds;
}

function slowPartOf(teacher: TeacherPace): string {
  if (teacher.inProcess) return "teacher";
  if (teacher.computePerImage === undefined) return "teacher or link (the service does not tell which)";
  return rateOf(teacher) * teacher.computePerImage >= BUSY ? "teacher" : "link";
}
