import { randomUUID } from "node:crypto";
import { secret, UserError } from "@funmatch/config";
import type { TrainConfig } from "../config.ts";
import type { ViewPool } from "../data/pool.ts";
import { choices } from "../report/figures.ts";
import { percent } from "../report/words.ts";
import { askPieces, cut, largestChunk } from "../teach/chunks.ts";
import { openTeacher, type Teacher } from "../teach/client.ts";
import { sampleOf } from "./data.ts";
import { type Finding, fault, warning, well } from "./finding.ts";

type Spec = TrainConfig["teachers"][number];

/** How long a teacher may keep a doctor waiting. */
const PATIENCE_MS = 30_000;

/**
 * Whether a teacher can be reached, lets the key in, is the version that the run is bound to, fits the data, and knows
 * what is on it: a sample of pictures is really sent, as an evaluation.
 *
 * @param o.began the version that the run began with
 * @param o.patienceMs how long it may take, or tell to wait
 */
export async function checkTeacher(
  spec: Spec,
  o: { config: TrainConfig; pool?: ViewPool; began?: string; patienceMs?: number },
): Promise<Finding[]> {
  const name = "teacher";
  let waited: string | undefined;
  const { patienceMs = PATIENCE_MS } = o;
  const signal = AbortSignal.timeout(patienceMs);
  let teacher: Teacher;
  try {
    const key = spec.key === undefined ? undefined : secret(spec.key);
    const onWait = (why: string) => {
      waited = why;
    };
    const patience = { attempts: 2, firstDelayMs: 300 };
    teacher = await openTeacher({
      ...{ url: spec.url, key, pinnedVersion: o.began ?? spec.version },
      ...{ onWait, signal, patience },
    });
  } catch (error) {
    if (signal.aborted)
      return [
        fault(
          name,
          `${waited ?? spec.url} (waited ${patienceMs / 1000} s)`,
          "wait, or look at the service's log",
        ),
      ];
    if (!(error instanceof UserError)) throw error;
    return [fault(name, error.message, "start the service, or correct teachers in the config")];
  }
  try {
    return await examine(teacher, spec, { ...o, signal });
  } catch (error) {
    if (signal.aborted)
      return [
        fault(
          name,
          `${waited ?? `${spec.url}: no answer in ${patienceMs / 1000} s`}`,
          "wait, or ask for more quota",
        ),
      ];
    if (!(error instanceof UserError)) throw error;
    return [fault(name, error.message, "see the service's log")];
  } finally {
    await teacher.close();
  }
}

async function examine(
  teacher: Teacher,
  spec: Spec,
  o: { config: TrainConfig; pool?: ViewPool; signal: AbortSignal },
): Promise<Finding[]> {
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
  const side = spec.resolution ?? o.config.student.resolution;
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
  const requests = Math.ceil(o.config.batch / Math.min(most, o.config.chunk ?? most));
  findings.push(
    well(
      "limits",
      `${most} images a request: ${requests} ${requests === 1 ? "request" : "requests"} a step; no quota is told`,
    ),
  );
  return o.pool ? [...findings, ...(await checkAnswers(teacher, o.pool, o.signal))] : findings;
}

async function checkAnswers(teacher: Teacher, pool: ViewPool, signal: AbortSignal): Promise<Finding[]> {
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
    const views = batch.teacherViews ?? batch.views;
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
