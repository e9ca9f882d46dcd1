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

/** Every configuration that a library is tried in, and from the fastest of these on with the changes after it. */
function configurations(library: Configuration["library"], task: StepTask, threads: number): Configuration[] {
  const plain = { library, threads, jemalloc: false };
  if (library === "JAX") return [plain];
  const of = (
    compile: Configuration["compile"],
    layout: Configuration["layout"],
    optimizer: Configuration["optimizer"],
  ): Configuration => ({ ...plain, compile, layout, optimizer });
  // Of a ViT only the patches have a layout.
  const other = task.model.kind === "vit" ? [] : [of("no", "contiguous_format", "fused")];
  return [
    ...other,
    of("no", "channels_last", "fused"),
    of("no", "channels_last", "foreach"),
    of("default", "channels_last", "fused"),
    of("default", "channels_last", "compiled"),
    of("max-autotune", "channels_last", "fused"),
  ];
}

/** Tries a library in all its configurations for some steps each. The fastest is the first. */
export async function tryAll(
  library: Configuration["library"],
  task: StepTask,
  threads: number,
  o: { environment: Environment; jemalloc: string },
): Promise<Tried[]> {
  const tried: Tried[] = [];
  const best = () => tried.toSorted((a, b) => a.milliseconds - b.milliseconds);
  for (const configuration of configurations(library, task, threads))
    tried.push(await tryOne(configuration, task, o));
  for (const change of [{ jemalloc: true }, { threads: 1 }])
    tried.push(await tryOne({ ...best()[0]!.configuration, ...change }, task, o));
  return best();
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
