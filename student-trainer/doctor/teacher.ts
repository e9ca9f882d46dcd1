import { UserError } from "@funmatch/config";
import type { TrainConfig } from "../config.ts";
import type { EvalBatch } from "../data/batch.ts";
import type { ViewPool } from "../data/pool.ts";
import { classesOf, openTeachersOf } from "../learn/open-teachers.ts";
import { chunkOf, teacherResolution } from "../learn/teacher-views.ts";
import { largestChunk } from "../teach/chunks.ts";
import type { Teacher } from "../teach/client.ts";
import { checkContract } from "../teach/contract.ts";
import { nameOfTeacher } from "../teachers.ts";
import { type Finding, fault, warning, well } from "./finding.ts";

interface Examination {
  config: TrainConfig;
  pool?: ViewPool;
  signal: AbortSignal;
}

/** How long a teacher may keep a doctor waiting. */
const PATIENCE_MS = 30_000;

/**
 * Whether a teacher can be reached, lets the key in, is the version that the run is bound to, fits the data, and knows
 * what is on it: a sample of pictures is really sent, as an evaluation.
 *
 * @param which of the config's
 * @param o.began the version that the run began with
 * @param o.patienceMs how long it may take, or tell to wait
 */
export async function checkTeacher(
  which: number,
  o: Omit<Examination, "signal"> & { began?: string; patienceMs?: number },
): Promise<Finding[]> {
  const name = "teacher";
  let waited: string | undefined;
  const { patienceMs = PATIENCE_MS } = o;
  const signal = AbortSignal.timeout(patienceMs);
  const spec = o.config.teachers[which]!;
  const named = nameOfTeacher(spec);
  let teacher: Teacher;
  try {
    const say = (why: string) => {
      waited = why;
    };
    const began = o.began === undefined ? undefined : [o.began];
    const [opened] = await openTeachersOf({ ...o.config, teachers: [spec] }, began, { signal, say });
    teacher = opened!;
  } catch (error) {
    if (signal.aborted)
      return [
        fault(
          name,
          `${waited ?? named} (waited ${patienceMs / 1000} s)`,
          "wait, or look at the service's log",
        ),
      ];
    // What a teacher in this process throws crosses a thread: its name is left, not its class.
    const ofItsFile = error instanceof Error && error.name === "ArrayFileError";
    if (!(error instanceof UserError || ofItsFile)) throw error;
    return [fault(name, error.message, "start the service, or correct teachers in the config")];
  }
  try {
    return await examine(teacher, which, { ...o, signal });
  } catch (error) {
    if (signal.aborted)
      return [
        fault(
          name,
          `${waited ?? `${named}: no answer in ${patienceMs / 1000} s`}`,
          "wait, or ask for more quota",
        ),
      ];
    if (!(error instanceof UserError)) throw error;
    return [fault(name, error.message, "see the service's log")];
  } finally {
    await teacher.close();
  }
}

async function examine(teacher: Teacher, which: number, o: Examination): Promise<Finding[]> {
  const { card, limits, url } = teacher;
  const version = `${card.version.slice(0, "sha256:".length + 12)}…`;
  const findings = [
    well("teacher", `${url}: ${version}, ${card.classes} classes, ${card.input.resolution} px`),
  ];
  if (!card.bitStable)
    findings.push(
      warning(
        "teacher",
        "its logits depend on how requests are batched",
        "a resumed run will differ from an uninterrupted one in the last bits; nothing to mend if that does not matter",
      ),
    );
  const spec = o.config.teachers[which]!;
  const side = teacherResolution(spec, o.config);
  if (side !== card.input.resolution && card.input.resizes)
    findings.push(
      warning(
        "teacher",
        `is sent ${side} px and resizes to ${card.input.resolution}`,
        `teachers.resolution: ${card.input.resolution} sends what it was made for`,
      ),
    );
  const most = largestChunk(limits, side * side * 3);
  const requests = Math.ceil(o.config.batch / Math.min(most, spec.chunk ?? o.config.chunk ?? most));
  findings.push(
    well(
      "limits",
      `${most} images a request: ${requests} ${requests === 1 ? "request" : "requests"} a step; no quota is told`,
    ),
  );
  return o.pool ? [...findings, ...(await checkAnswers(teacher, which, { ...o, pool: o.pool }))] : findings;
}

/** What training, too, checks before its first step: classes and labels, and how the teacher does on a few images. */
async function checkAnswers(
  teacher: Teacher,
  which: number,
  { config, pool, signal }: Examination & { pool: ViewPool },
): Promise<Finding[]> {
  const name = "teacher's answers";
  const spec = config.teachers[which]!;
  try {
    classesOf([teacher], pool.sources.train!.labels, { ...config, teachers: [spec] });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [fault(name, error.message, "serve the teacher that fits, or correct the config")];
  }
  const [contract] = await checkContract({
    teachers: [teacher],
    chunks: [chunkOf(spec, config)],
    pool: { ...pool, evaluation: async (...asked) => oneTeachers(await pool.evaluation(...asked), which) },
    split: pool.sources.validation ? "validation" : "train",
    signal,
  });
  const { terms, warnings } = contract!;
  if (warnings.length === 0) return [well(name, `accuracy ${new Map(terms).get("accuracy")}`)];
  const mend =
    "mend the teacher's config (valueRange, channel order, resolution, labels), or the data's order of classes";
  return warnings.map((words) => warning(name, words, mend));
}

function oneTeachers(batch: EvalBatch, which: number): EvalBatch {
  return { ...batch, teacherViews: [batch.teacherViews[which]!] };
}
