import { existsSync } from "node:fs";
import { readWeights, weightsSha256 } from "@funmatch/models";
import type { Checkpoint } from "../learn/checkpoint.ts";
import type { Walk } from "./chain.ts";
import { type Check, checkOf, open } from "./check.ts";

const NAME = "parameters";

/** Whether the newest checkpoint and the finished student hold the parameters that the ledger recorded. */
export async function checkParameters(
  { parameters }: Walk,
  checkpoint: Checkpoint,
  studentFile: string,
): Promise<Check> {
  const recorded = parameters.get(checkpoint.step);
  if (!recorded) return open(NAME, "the ledger has no digest of the parameters of the newest checkpoint");
  const findings: string[] = [];
  if (recorded !== checkpoint.parametersSha256)
    findings.push(
      `checkpoint ${checkpoint.step} holds other parameters than the ledger recorded at its step`,
    );
  const finished = existsSync(studentFile);
  if (finished && (await digestOf(studentFile)) !== recorded)
    findings.push(`student.npz does not hold the parameters of step ${checkpoint.step}`);
  const holders = finished ? "the checkpoint and student.npz hold" : "the checkpoint holds";
  return checkOf(NAME, findings, `${holders} what the ledger recorded at step ${checkpoint.step}`);
}

async function digestOf(studentFile: string): Promise<string> {
  try {
    return weightsSha256(await readWeights(studentFile));
  } catch (error) {
    return `unreadable: ${(error as Error).message}`;
  }
}
