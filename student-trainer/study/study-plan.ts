import { planRun } from "../plan/plan.ts";
import { counted, duration } from "../report/words.ts";
import { type Cell, valueWords } from "./cells.ts";
import { outcomeOf } from "./outcome.ts";
import { rolesOf, type StudyConfig } from "./study-config.ts";

/**
 * What a study will take: one run of every kind (all keys but length and seed) is measured for some seconds, as
 * `funmatch plan` does it, and its pace stands for the others of its kind.
 *
 * @returns lines for the terminal
 */
export async function planStudy(
  study: StudyConfig,
  cells: Cell[],
  o: { parallel: number; seconds: number; signal: AbortSignal; say: (line: string) => void },
): Promise<string[]> {
  const outcomes = await Promise.all(cells.map(outcomeOf));
  const open = cells.filter((_, i) => outcomes[i]!.state !== "done");
  const kinds = new Map<string, Cell[]>();
  for (const cell of open) {
    const kind = kindOf(study, cell);
    kinds.set(kind, [...(kinds.get(kind) ?? []), cell]);
  }
  const lines: string[] = [`${cells.length} runs, ${cells.length - open.length} of them done`];
  let [allSteps, allSeconds] = [0, 0];
  for (const [kind, some] of kinds) {
    o.say(`measuring ${kind}`);
    const plan = await planRun(some[0]!.config, { ...o, say: () => {} });
    const stepSeconds = plan.together.stepSeconds;
    const evaluationShare = plan.totalSteps > 0 ? plan.evaluation.times / plan.totalSteps : 0;
    const fixed =
      plan.secondsLeft - plan.totalSteps * (stepSeconds + evaluationShare * plan.evaluation.each.seconds);
    let [steps, seconds] = [0, 0];
    for (const { config } of some) {
      const own = stepsOf(config.length, plan.totalSteps, some[0]!.config.length);
      steps += own;
      seconds += Math.max(0, fixed) + own * (stepSeconds + evaluationShare * plan.evaluation.each.seconds);
    }
    allSteps += steps;
    allSeconds += seconds;
    lines.push(
      `${kind.padEnd(40)} ${String(some.length).padStart(4)} runs ${counted(steps).padStart(10)} steps ` +
        `${(1000 * stepSeconds).toFixed(0).padStart(6)} ms a step ${duration(seconds).padStart(12)}`,
    );
  }
  const together =
    o.parallel > 1 ? `, at best ${duration(allSeconds / o.parallel)} with ${o.parallel} at once` : "";
  lines.push(`together ${counted(allSteps)} steps, ${duration(allSeconds)} one after the other${together}`);
  return lines;
}

function kindOf(study: StudyConfig, { values }: Cell): string {
  const { length } = rolesOf(study);
  const words = Object.entries(values)
    .filter(([key]) => key !== length && key !== "seed")
    .map(([key, value]) => `${key} ${valueWords(value)}`);
  return words.join(", ") || "all";
}

type Length = Cell["config"]["length"];

/** Steps of a run, by those of another with the same data and batch. */
function stepsOf(length: Length, otherSteps: number, other: Length): number {
  if ("steps" in length && length.steps !== undefined) return length.steps;
  if ("epochs" in length && "epochs" in other) return Math.round((otherSteps * length.epochs) / other.epochs);
  return otherSteps;
}
