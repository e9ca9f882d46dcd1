import type { TrainConfig } from "../config.ts";
import type { OpenRun } from "../learn/open-run.ts";
import { evaluate } from "../report/evaluate.ts";

/** What one evaluation of all of a run's splits takes. */
export interface EvaluationCost {
  images: number;
  seconds: number;
}

/** Images that are timed, at most: two batches, after one that is not. */
const BATCHES = 2;

/**
 * Times the first batches of the first split that the config evaluates and takes all images to cost as much.
 * The teachers are asked as in any evaluation, so a cache may answer.
 */
export async function evaluationCost(
  run: Pick<OpenRun, "classes" | "pool" | "student" | "teachers">,
  { evaluate: { splits, batch } }: TrainConfig,
  signal: AbortSignal,
): Promise<EvaluationCost> {
  const { classes, pool, student, teachers } = run;
  const images = splits.reduce((sum, split) => sum + pool.sources[split]!.size, 0);
  const [split] = splits;
  if (split === undefined) return { images: 0, seconds: 0 };
  const forward = (data: Uint8Array) => student.call("forward", { images: data });
  const timed = async (batches: number) => {
    const size = Math.min(pool.sources[split]!.size, batches * batch);
    const began = performance.now();
    await evaluate({ pool, split, size, batch, classes, forward, teachers, signal });
    return { size, seconds: (performance.now() - began) / 1000 };
  };
  await timed(1); // captures the forward pass
  const { size, seconds } = await timed(BATCHES);
  return { images, seconds: (seconds * images) / size };
}
