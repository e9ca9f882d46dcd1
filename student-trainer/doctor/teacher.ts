import { randomUUID } from "node:crypto";
import { UserError } from "@funmatch/config";
import type { TrainConfig } from "../config.ts";
import type { ViewPool } from "../data/pool.ts";
import { openTeachersOf } from "../learn/open-teachers.ts";
import { teacherResolution } from "../learn/teacher-views.ts";
import { choices } from "../report/figures.ts";
import { percent } from "../report/words.ts";
import { askPieces, cut, largestChunk } from "../teach/chunks.ts";
import type { Teacher } from "../teach/client.ts";
import { nameOfTeacher } from "../teachers.ts";
import { sampleOf } from "./data.ts";
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
    if (!(error instanceof UserError)) throw error;
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
  if (side !== card.input.resolution)
    findings.push(
      card.input.resizes
        ? warning(
            "teacher",
            `is sent ${side} px and resizes to ${card.input.resolution}`,
            `teachers.resolution: ${card.input.resolution} sends what it was made for`,
          )
        : fault(
            "teacher",
            `takes ${card.input.resolution} px alone, is sent ${side}`,
            `set teachers.resolution to ${card.input.resolution}`,
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
  return o.pool ? [...findings, ...(await checkAnswers(teacher, which, o.pool, o.signal))] : findings;
}

async function checkAnswers(
  teacher: Teacher,
  which: number,
  pool: ViewPool,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { sources } = pool;
  const split = ["validation", "test"].find((one) => sources[one]) ?? "train";
  const { labels, size } = sources[split]!;
  const { card } = teacher;
  const name = "teacher's answers";
  if (card.classes !== labels.length)
    return [
      fault(
        name,
        `it has ${card.classes} classes, the data ${labels.length}`,
        "serve the teacher of these classes, or correct data",
      ),
    ];
  const known = card.labels && [...card.labels].sort().join() === [...labels].sort().join();
  if (known && card.labels!.join() !== labels.join())
    return [
      fault(
        name,
        "it has the classes of the data in another order",
        "correct labels in the teacher's config",
      ),
    ];
  let [right, asked] = [0, 0];
  const session = randomUUID();
  for (const { start, count } of sampleOf(size)) {
    const batch = await pool.evaluation(split, start, count);
    const views = batch.teacherViews[which]!;
    const most = largestChunk(teacher.limits, views.data.length / count);
    const call = { purpose: "eval" as const, requestId: `${session}-doctor-${start}`, signal };
    const { logits } = await askPieces(teacher.ask, views, cut(views, most), call);
    for (const [i, choice] of choices(logits, labels.length).entries()) {
      if (batch.labels[i] === -1) continue;
      asked++;
      right += choice === batch.labels[i] ? 1 : 0;
    }
    pool.release(batch);
  }
  const said = `right on ${right} of ${asked} images of ${split}`;
  const chance = 1 / labels.length;
  const noise = 2 * Math.sqrt((chance * (1 - chance)) / asked);
  if (right / asked > chance + noise) return [well(name, said)];
  return [
    warning(
      name,
      `${said}, no better than chance (${percent(chance)})`,
      "look at the teacher's preprocessing (value range, channel order, resolution) and the order of its classes",
    ),
  ];
}
