import type { TrainConfig } from "../config.ts";
import { sameClasses } from "../data/source.ts";
import type { OpenRun } from "../learn/open-run.ts";
import { type Evaluation, evaluate, relabelled } from "./evaluate.ts";
import { type ProbeResult, probe } from "./probe.ts";

/** What an evaluation found. */
export interface Evaluated {
  /** By name, in the order of evaluation. */
  splits: Map<string, Evaluation>;
  probes: ProbeResult[];
}

type Evaluable = Pick<OpenRun, "at" | "classes" | "pool" | "student" | "teachers">;

/**
 * Evaluates the student, and its teachers beside it, on splits, and counts what the gateway's cache answered. Splits
 * of the same images, which differ in what labels are right, are looked at once.
 */
export async function evaluateSplits(
  run: Evaluable,
  o: { splits: string[]; batch: number; cka?: boolean },
  signal: AbortSignal,
): Promise<Evaluated> {
  const { at, classes, pool, student, teachers } = run;
  const forward = (images: Uint8Array) => student.call("forward", { images });
  const splits = new Map<string, Evaluation>();
  const byDigest = new Map<string, Evaluation>();
  for (const split of o.splits) {
    const source = pool.sources[split]!;
    const same = byDigest.get(source.digest);
    if (same) {
      splits.set(split, relabelled(same, source, classes));
      continue;
    }
    const evaluation = await evaluate({ ...o, pool, split, source, classes, forward, teachers, signal });
    at.cacheHits += evaluation.cacheHits;
    at.cacheMisses += evaluation.cacheMisses;
    byDigest.set(source.digest, evaluation);
    splits.set(split, evaluation);
  }
  return { splits, probes: [] };
}

/**
 * The evaluation at the end of a run: all splits that have the student's classes (of the training images only if the
 * config names them), with feature alignment and few-shot probes.
 *
 * @param only leaves out all other splits, and the probes
 */
export async function evaluateAll(
  run: Evaluable,
  config: TrainConfig,
  signal: AbortSignal,
  only?: string[],
): Promise<Evaluated> {
  const { batch, probes } = config.evaluate;
  const splits = only ?? splitsAtTheEnd(run, config);
  const { splits: found } = await evaluateSplits(run, { splits, batch, cka: true }, signal);
  const probed: ProbeResult[] = [];
  if (!only)
    for (const settings of probes)
      probed.push(
        await probe({
          ...{ ...settings, batch, signal, seed: config.seed },
          pool: run.pool,
          forward: (images) => run.student.call("forward", { images }),
        }),
      );
  return { splits: found, probes: probed };
}

/** The splits that are evaluated when a run ends. */
export function splitsAtTheEnd({ pool }: Pick<OpenRun, "pool">, { evaluate }: TrainConfig): string[] {
  const { train, ...others } = pool.sources;
  const named = evaluate.splits;
  const rest = Object.keys(others).filter((split) => sameClasses(others[split]!, train!));
  return [...named, ...rest.filter((split) => !named.includes(split))];
}
