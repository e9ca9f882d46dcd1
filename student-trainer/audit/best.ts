import { UserError } from "@funmatch/config";
import { readCheckpoint } from "../learn/best-checkpoint.ts";
import type { Checkpoint } from "../learn/checkpoint.ts";
import type { Walk } from "./chain.ts";
import { type Check, checkOf, open } from "./check.ts";

const NAME = "best checkpoint";

/** Whether the checkpoint that a run kept as its best holds what the ledger recorded; nothing where it kept none. */
export async function checkBest(
  { parameters }: Walk,
  { best }: Checkpoint,
  directory: string,
): Promise<Check[]> {
  if (!best) return [];
  const recorded = parameters.get(best.step);
  if (!recorded) return [open(NAME, `the ledger has no digest of the parameters of step ${best.step}`)];
  try {
    const { checkpoint } = await readCheckpoint(directory, "best");
    const same = checkpoint.step === best.step && checkpoint.parametersSha256 === recorded;
    const findings = same ? [] : [`it is not what the ledger recorded at step ${best.step}`];
    return [checkOf(NAME, findings, `it holds what the ledger recorded at step ${best.step}`)];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [checkOf(NAME, [error.message], "")];
  }
}
