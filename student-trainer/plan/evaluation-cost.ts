import type { TrainConfig } from "../config.ts";
import type { OpenRun } from "../learn/open-run.ts";
import { evaluate } from "../report/evaluate.ts";
import { splitsAtTheEnd } from "../report/splits.ts";

/** What evaluating so many images takes. */
export interface Cost {
  images: number;
  seconds: number;
}

/** What a run's evaluations take: one on the way, and the one at its end, which looks at all splits. */
export interface EvaluationCost {
  each: Cost;
  last: Cost;
}

/** Batches that are timed, after one that is not. */
const BATCHES = 2;

/**
 * Times the first batches of the first split that the run evaluates and takes all images to cost as much; probes are
 * not counted. The teachers are asked as in any evaluation, so a cache may answer.
 */
export async function evaluationCost(
  run: Pick<OpenRun, "classes" | "pool" | "student" | "teachers">,
  config: TrainConfig,
  signal: AbortSignal,
): Promise<EvaluationCost> {
  const { classes, pool, student, teachers } = run;
  const { splits, batch } = config.evaluate;
  const all = splitsAtTheEnd(run, config);
  const [split] = all;
  if (split === undefined) return { each: { images: 0, seconds: 0 }, last: { images: 0, seconds: 0 } };
  const forward = (data: Uint8Array) => student.call("forward", { images: data });
  const timed = async (batches: number) => {
    const { size, answers } = pool.sources[split]!;
    const source = { size: Math.min(size, batches * batch), answers };
    const began = performance.now();
    await evaluate({ pool, split, source, batch, classes, forward, teachers, signal });
    return (performance.now() - began) / 1000 / source.size;
  };
  await timed(1); // captures the forward pass
  const perImage = await timed(BATCHES);
  const cost = (names: string[]): Cost => {
    const images = names.reduce((sum, name) => sum + pool.sources[name]!.size, 0);
    return { images, seconds: images * perImage };
  };
  return { each: cost(splits), last: cost(all) };
}
