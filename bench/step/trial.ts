import { median } from "../benchmark.ts";
import type { Environment } from "../environment.ts";
import type { StepAnswer } from "./ours.ts";
import { type Configuration, inWords, startPeer } from "./sides.ts";
import type { StepTask } from "./task.ts";

/** What a configuration gave in its trial. */
export interface Tried {
  configuration: Configuration;
  milliseconds: number;
  answers: StepAnswer[];
}

/** Steps of a trial, the first of which pays for compilation; a slow configuration has fewer. */
export const TRIAL_STEPS = 5;
const PATIENCE_MS = 8000;

/** What each library begins with, and the changes to the fastest so far that are tried one after another. */
function ways(
  library: Configuration["library"],
  task: StepTask,
): [Partial<Configuration>, Partial<Configuration>[]] {
  const anywhere: Partial<Configuration>[] = [{ jemalloc: true }, { threads: 1 }];
  if (library === "JAX") return [{}, anywhere];
  // Of a ViT only the patches have a layout.
  const layout: Partial<Configuration>[] = task.model.kind === "vit" ? [] : [{ layout: "contiguous_format" }];
  const compiled: Partial<Configuration>[] = [
    { compile: "default" },
    { compile: "max-autotune" },
    { optimizer: "compiled" },
  ];
  const eager = { compile: "no", layout: "channels_last", optimizer: "fused" } as const;
  return [eager, [...layout, { optimizer: "foreach" }, ...anywhere, ...compiled]];
}

/** Tries a library in its configurations for some steps each. The fastest is the first. */
export async function tryAll(
  library: Configuration["library"],
  task: StepTask,
  threads: number,
  o: { environment: Environment; jemalloc: string },
): Promise<Tried[]> {
  const [first, changes] = ways(library, task);
  let tried = [await tryOne({ library, threads, jemalloc: false, ...first }, task, o)];
  for (const change of changes) {
    tried.push(await tryOne({ ...tried[0]!.configuration, ...change }, task, o));
    tried = tried.toSorted((a, b) => a.milliseconds - b.milliseconds);
  }
  return tried;
}

async function tryOne(
  configuration: Configuration,
  task: StepTask,
  o: { environment: Environment; jemalloc: string },
): Promise<Tried> {
  const side = await startPeer(configuration, task, o);
  try {
    await side.step(0);
    const began = performance.now();
    for (let step = 1; step < TRIAL_STEPS && performance.now() - began < PATIENCE_MS; step++)
      await side.step(step);
  } finally {
    await side.stop();
  }
  const milliseconds = median(side.answers.slice(1).map((answer) => answer.milliseconds));
  console.log(`  ${task.key}, ${task.dtype}: ${inWords(configuration)}: ${milliseconds.toFixed(0)} ms`);
  return { configuration, milliseconds, answers: side.answers };
}
