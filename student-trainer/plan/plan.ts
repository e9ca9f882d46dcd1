import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TrainConfig } from "../config.ts";
import { bytesOf } from "../data/batch.ts";
import { readNewestCheckpoint } from "../learn/checkpoint.ts";
import { type OpenRun, openRun } from "../learn/open-run.ts";
import { openRunFolder } from "../learn/run-folder.ts";
import { fixedViewOf, teacherResolution } from "../learn/teacher-views.ts";
import { teachOnline } from "../teach/online.ts";
import { bottleneckOf } from "./bottleneck.ts";
import { diskUse } from "./disk.ts";
import { type EvaluationCost, evaluationCost } from "./evaluation-cost.ts";
import { type Pace, type TeacherPace, tryStudent, tryTeacher, tryViews } from "./parts.ts";
import { type Rehearsal, rehearse } from "./rehearse.ts";
import { stepsThatFit } from "./settle-length.ts";
import { tallied } from "./tally.ts";

/** What a run will take, as measured. */
export interface Plan {
  views: Pace;
  /** Absent where no teacher is asked during training. */
  teacher?: TeacherPace;
  student: Pace;
  together: Rehearsal;
  evaluation: EvaluationCost & { times: number };
  /** Which part the others wait for. */
  bottleneck: string;
  /** Where the run stands, and its length. */
  step: number;
  totalSteps: number;
  /** Opening data, teacher and student. */
  startSeconds: number;
  /** From the start of the trainer to the last evaluation. */
  secondsLeft: number;
  /** To be sent to the teacher from here to the end. */
  send: { images: number; bytes: number };
  /** Seconds of the teacher's computing for that; undefined if it does not tell. */
  teacherSeconds?: number;
  /** Images that this measurement sent. */
  sentImages: number;
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
    const config = { ...structuredClone(written), run: scratch };
    const began = performance.now();
    const folder = await openRunFolder(config);
    await using run = await openRun(folder, config, o);
    const startSeconds = (performance.now() - began) / 1000;
    run.at.step = await stepOf(written.run, o.say);
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
  const fixedView = fixedViewOf(config);
  const part = { run, config, seconds: o.seconds / 4, signal };
  say("measuring the views");
  const { batches, ...views } = await tryViews(part);
  if (run.teacher) say("measuring the teacher");
  const teacher = await tryTeacher({ ...part, batches });
  say("measuring the student");
  const student = await tryStudent({ ...part, batches });
  for (const batch of batches) run.pool.release(batch);
  say("measuring all of it together");
  const online = run.teacher && !fixedView ? tallied(run.teacher) : undefined;
  const teach = online && teachOnline(online.teacher);
  const together = await rehearse({ ...part, teach });
  const evaluated = run.teacher ? tallied(run.teacher) : undefined;
  const evaluation = await evaluationCost({ ...run, teacher: evaluated?.teacher }, config, signal);

  const total = run.total ?? stepsThatFit(config, run.at, together, evaluation);
  const steps = Math.max(0, total - run.at.step);
  const { evaluate, checkpoint } = config;
  const times = Math.ceil(steps / evaluate.everySteps) + 1; // once more at the end, for the predictions
  const fixedImages = fixedView ? run.data.size * fixedView.ensemble : 0;
  const asked = run.teacher ? (online ? steps * config.batch : fixedImages) + times * evaluation.images : 0;
  const fixedSeconds = fixedView && teacher ? (fixedImages * teacher.seconds) / teacher.images : 0;
  return {
    views,
    teacher,
    student,
    together,
    evaluation: { ...evaluation, times },
    bottleneck: bottleneckOf({ views, teacher: fixedView ? undefined : teacher, student }),
    step: run.at.step,
    totalSteps: total,
    startSeconds,
    secondsLeft:
      startSeconds +
      fixedSeconds +
      steps * together.stepSeconds +
      times * evaluation.seconds +
      Math.ceil(steps / checkpoint.everySteps) * together.save.seconds,
    send: { images: asked, bytes: asked * bytesOf(1, teacherResolution(config)) },
    teacherSeconds: teacher?.computePerImage === undefined ? undefined : asked * teacher.computePerImage,
    sentImages: (teacher?.sent ?? 0) + (online?.tally.images ?? 0) + (evaluated?.tally.images ?? 0),
    memoryBytes: process.resourceUsage().maxRSS * 1024,
    diskBytes: diskUse(config, {
      steps: total,
      state: together.save.bytes,
      ledgerLine: together.ledgerLine,
    }).bytes,
  };
}

/** Where the run that is there stands; 0 if there is none. */
async function stepOf(run: string, say: (line: string) => void): Promise<number> {
  const checkpoints = join(run, "checkpoints");
  if (!existsSync(checkpoints)) return 0;
  return (await readNewestCheckpoint(checkpoints, say))?.checkpoint.step ?? 0;
}
