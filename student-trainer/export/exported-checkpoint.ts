import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { readWeights, type Weights } from "@funmatch/models";
import { readCheckpoint } from "../learn/best-checkpoint.ts";
import { readNewestCheckpoint } from "../learn/checkpoint.ts";

/** The parameters of a checkpoint, running statistics among them. */
export interface ExportedCheckpoint {
  step: number;
  parametersSha256: string;
  weights: Weights;
}

/**
 * Reads the student from a run's checkpoint.
 *
 * @param which absent: the newest
 * @throws UserError when there is none, or it has no such checkpoint
 */
export async function readExported(
  run: string,
  which: "best" | number | undefined,
  say: (line: string) => void,
): Promise<ExportedCheckpoint> {
  const directory = join(run, "checkpoints");
  const found = await (which === undefined
    ? readNewestCheckpoint(directory, say)
    : readCheckpoint(directory, which));
  if (!found) throw new UserError(`${run} has no checkpoint yet: nothing to export`);
  const { step, parametersSha256 } = found.checkpoint;
  return { step, parametersSha256, weights: await readWeights(found.stateFile, "params/") };
}
