import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { readNpz, type Weights } from "@funmatch/models";
import { checkpointFolder, listCheckpoints } from "../learn/checkpoint.ts";

/** The parameters of a checkpoint, running statistics among them. */
export interface ExportedCheckpoint {
  name: string;
  weights: Weights;
}

/**
 * Reads the student from a run's checkpoint.
 *
 * @param which "last", or a step
 * @throws UserError when there is none, or it has no such checkpoint
 */
export async function readExported(run: string, which: string): Promise<ExportedCheckpoint> {
  const directory = join(run, "checkpoints");
  const names = await listCheckpoints(directory);
  if (names.length === 0) throw new UserError(`${run} has no checkpoint yet: nothing to export`);
  const name = which === "last" ? names.at(-1)! : checkpointFolder(Number(which));
  if (!names.includes(name))
    throw new UserError(`${run} has no checkpoint of step ${which}: there are ${names.join(", ")}`);
  const state = await readNpz(join(directory, name, "state.npz"), {
    only: (member) => member.startsWith("params/"),
  });
  const weights = [...state].map(
    ([member, { shape, data }]) =>
      [member.slice("params/".length), { shape, values: data as Float32Array }] as const,
  );
  return { name, weights: Object.fromEntries(weights) };
}
