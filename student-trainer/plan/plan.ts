import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TrainConfig } from "../config.ts";
import { bytesOf } from "../data/layers.ts";
import { readNewestCheckpoint } from "../learn/checkpoint.ts";
import { type OpenRun, openRun } from "../learn/open-run.ts";
import { changedKeys, openRunFolder } from "../learn/run-folder.ts";
import { fixedViewOf, teacherResolution } from "../learn/teacher-views.ts";
import { teachOnline } from "../teach/online.ts";
import { askAll, type Teach } from "../teach/teaching.ts";
import { type Bottleneck, bottleneckOf } from "./bottleneck.ts";
import { diskUse } from "./disk.ts";
import { type EvaluationCost, evaluationCost } from "./evaluation-cost.ts";
import { type Pace, silence, type TeacherPace, tryStudent, tryTeachers, tryViews } from "./parts.ts";
import { type Rehearsal, rehearse } from "./rehearse.ts";
import { stepsThatFit } from "./settle-length.ts";
import { tallied } from "./tally.ts";

/** What a run will take, as measured. */
export interface Plan {
  views: Pace;
  /** In the order of the config. */
  teachers: TeacherPace[];
  student: Pace;
  together: Rehearsal;
  /** `times`: on the way, the one at the end not counted. */
  evaluation: EvaluationCost & { times: number };
  bottleneck: Bottleneck;
  /** Where the run stands, and its length. */
  step: number;
  totalSteps: number;
  /** Opening data, teacher and student. */
  startSeconds: number;
  /** From the start of the trainer to the last evaluation. */
  secondsLeft: number;
  /** To be sent to teachers from here to the end. */
  send: { images: number; bytes: number };
  /** Seconds that teachers compute until then; undefined if none tells. */
  teacherSeconds?: number;
  /** Images that teachers were asked about for this measurement. */
  askedImages: number;
  /** Most memory that this process held meanwhile. */
  memoryBytes: number;
  diskBytes: number;
}

/**
 * Measures for about `seconds` each part of a run by itself and then all together, on its own views and with real
 * requests to its teacher, and reckons what the rest of the run takes. Nothing in the run's folder is touched.
 *
 * @throws UserError, TeacherError as `train` would
 */
export async function planRun(
  written: TrainConfig,
  o: { seconds: number; signal: AbortSignal; say: (line: string) => void },
): Promise<Plan> {
  const scratch = await mkdtemp(join(tmpdir(), "funmatch-plan-"));
  try {
    const settled = structuredClone(written);
    const before = await settleAsBegun(settled, o.say);
    const config = { ...settled, run: scratch };
    const began = performance.now();
    const folder = await openRunFolder(config);
    await using run = await openRun(folder, config, o);
    const startSeconds = (performance.now() - began) / 1000;
    if (before) Object.assign(run.at, before);
    return await measure(config, run, startSeconds, o);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function measure(
  config: TrainConfig,
  run: OpenRun,
  startSeconds: number,
  o: { seconds: number; signal: AbortSignal; say: (line: string) => void },
): Promise<Plan> {
  const { signal, say } = o;
  const part = { run, config, seconds: o.seconds / 4, signal };
  say("measuring the views");
  const { batches, ...views } = await tryViews(part);
  if (run.teachers.length > 0) say("measuring the teachers");
  const teachers = await tryTeachers({ ...part, batches });
  say("measuring the student");
  const student = await tryStudent({ ...part, batches });
  for (const batch of batches) run.pool.release(batch);
  say("measuring all of it together");
  const isFixed = config.teachers.some((spec) => fixedViewOf(spec, config));
  const teach = teachFor(run, isFixed);
  const together = await rehearse({ ...part, teach });
  const evaluated = run.teachers.map(tallied);
  const counted = { ...run, teachers: evaluated.map(({ teacher }) => teacher) };
  const evaluation = await evaluationCost(counted, config, signal);

  const total = run.total ?? stepsThatFit(config, run.at, together, evaluation);
  const steps = Math.max(0, total - run.at.step);
  const { everySteps } = config.evaluate;
  const times = Math.max(0, Math.floor((total - 1) / everySteps) - Math.floor(run.at.step / everySteps));
  const { each, last } = evaluation;
  const evaluatedImages = times * each.images + last.images;
  const asked = config.teachers.map((spec) => {
    const { ensemble } = fixedViewOf(spec, config) ?? { ensemble: 0 };
    return (isFixed ? run.data.size * ensemble : steps * config.batch) + evaluatedImages;
  });
  const sum = (of: (pace: TeacherPace, i: number) => number) =>
    teachers.reduce((all, one, i) => all + of(one, i), 0);
  const sent = (i: number) => (teachers[i]!.inProcess ? 0 : asked[i]!);
  return {
    views,
    teachers,
    student,
    together,
    evaluation: { ...evaluation, times },
    bottleneck: bottleneckOf({ views, teachers: isFixed ? [] : teachers, student }),
    step: run.at.step,
    totalSteps: total,
    startSeconds,
    secondsLeft:
      startSeconds +
      (isFixed ? sum((pace, i) => ((asked[i]! - evaluatedImages) * pace.seconds) / pace.images) : 0) +
      steps * together.stepSeconds +
      times * each.seconds +
      last.seconds +
      Math.ceil(steps / config.checkpoint.everySteps) * together.save.seconds,
    send: {
      images: sum((_, i) => sent(i)),
      bytes: sum((_, i) => sent(i) * bytesOf(1, teacherResolution(config.teachers[i]!, config))),
    },
    teacherSeconds: teachers.some(({ computePerImage }) => computePerImage !== undefined)
      ? sum(({ computePerImage = 0 }, i) => asked[i]! * computePerImage)
      : undefined,
    askedImages:
      sum(({ asked }) => asked) +
      together.askedImages +
      evaluated.reduce((all, { tally }) => all + tally.images, 0),
    memoryBytes: process.resourceUsage().maxRSS * 1024,
    diskBytes: diskUse(config, {
      steps: total,
      state: together.save.bytes,
      ledgerLine: together.ledgerLine,
    }).bytes,
  };
}

/** How the rehearsal is taught. Fixed teachers have said all before training: silence takes as long as what they said. */
function teachFor(run: OpenRun, isFixed: boolean): Teach | undefined {
  if (run.teachers.length === 0) return undefined;
  if (isFixed) return async ({ indices }) => silence(run, indices.length);
  const each = run.teachers.map(teachOnline);
  return (batch, signal) => askAll(each, batch, signal);
}

/** Where the run that is there stands, with the config settled as it was for it; undefined if there is none. */
async function settleAsBegun(
  config: TrainConfig,
  say: (line: string) => void,
): Promise<Pick<OpenRun["at"], "step" | "trainingSeconds"> | undefined> {
  const checkpoints = join(config.run, "checkpoints");
  const found = existsSync(checkpoints) ? await readNewestCheckpoint(checkpoints, say) : undefined;
  if (!found) return undefined;
  await changedKeys(join(config.run, "config.yaml"), config);
  const { step, trainingSeconds } = found.checkpoint;
  return { step, trainingSeconds };
}
