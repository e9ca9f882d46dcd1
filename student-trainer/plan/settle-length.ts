import { UserError } from "@funmatch/config";
import type { TrainConfig } from "../config.ts";
import { secondsOf } from "../learn/length.ts";
import type { OpenRun, Standing } from "../learn/open-run.ts";
import { scheduleMultiplier } from "../learn/schedule.ts";
import { duration } from "../report/words.ts";
import type { Teach } from "../teach/teaching.ts";
import { type EvaluationCost, evaluationCost } from "./evaluation-cost.ts";
import { type Rehearsal, rehearse } from "./rehearse.ts";

/** Steps of the whole run that end when its time is over; at least one more than it has. */
export function stepsThatFit(
  { length, evaluate, checkpoint }: TrainConfig,
  at: Pick<Standing, "step" | "trainingSeconds">,
  tried: Rehearsal,
  evaluation: EvaluationCost,
): number {
  const left = "time" in length ? secondsLeft(length.time, at) : 0;
  const share = evaluation.each.seconds / evaluate.everySteps;
  const each = tried.stepSeconds + share + tried.save.seconds / checkpoint.everySteps;
  return at.step + Math.max(1, Math.floor((left - evaluation.last.seconds) / each));
}

function secondsLeft(time: string, at: Pick<Standing, "trainingSeconds">): number {
  return secondsOf(time) - at.trainingSeconds;
}

/** How long the speed is measured: a fiftieth of the run's time, between these. */
const [LEAST_SECONDS, MOST_SECONDS] = [2, 60];

/**
 * The steps of the whole run. Where its length is a time, its own next steps are timed first, and the number of steps
 * that fit is set in the config, to be written into the run's: from then on it is a run of so many steps, on whatever machine, since a
 * schedule that followed the clock could never be repeated. Evaluations and checkpoints are counted in.
 *
 * @throws UserError when the schedule or where the run stands does not fit
 */
export async function settleSteps(o: {
  run: OpenRun;
  config: TrainConfig;
  teach: Teach | undefined;
  signal: AbortSignal;
  say: (line: string) => void;
}): Promise<number> {
  const { run, config, say } = o;
  const { at } = run;
  let { total } = run;
  if ("time" in config.length && total === undefined) {
    const left = secondsLeft(config.length.time, at);
    const seconds = Math.min(MOST_SECONDS, Math.max(LEAST_SECONDS, left / 50));
    say(`measuring for about ${duration(seconds)} how many steps fit into ${config.length.time}`);
    const tried = await rehearse({ ...o, seconds });
    total = stepsThatFit(config, at, tried, await evaluationCost(run, config, o.signal));
    config.length.steps = total;
    say(
      `${(1000 * tried.stepSeconds).toPrecision(3)} ms a step: the run is ${total} steps, whatever its speed will be` +
        (tried.askedImages > 0 ? ` (the teacher was sent ${tried.askedImages} images to find out)` : ""),
    );
    scheduleMultiplier(config.schedule, 0, total);
  }
  if (total! < at.step)
    throw new UserError(
      `${config.run} is at step ${at.step} already: a length of ${total} steps would end before`,
    );
  return total!;
}
