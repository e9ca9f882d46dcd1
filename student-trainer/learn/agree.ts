import { UserError } from "@funmatch/config";
import type { TrainConfig } from "../config.ts";
import { writeContracts } from "../report/contracts.ts";
import { checkContract, contractLines } from "../teach/contract.ts";
import type { Lecturer } from "../teach/teaching.ts";
import type { OpenRun } from "./open-run.ts";
import type { RunFolder } from "./run-folder.ts";

/**
 * Checks the contract with a run's teachers, says it, and keeps it for the report. The accuracy is that of validation
 * images where there are some, else of training images; the test images are left alone.
 *
 * @throws UserError when something looks wrong and the config says `contract: strict`
 */
export async function agree(
  folder: RunFolder,
  config: TrainConfig,
  o: Pick<OpenRun, "pool"> & { lecturers: Lecturer[]; signal: AbortSignal; say: (line: string) => void },
): Promise<void> {
  const contracts = await checkContract({
    teachers: o.lecturers.map(({ teacher }) => teacher),
    chunks: o.lecturers.map(({ chunk }) => chunk),
    pool: o.pool,
    split: config.data.validation ? "validation" : "train",
    signal: o.signal,
  });
  for (const line of contractLines(contracts)) o.say(line);
  await writeContracts(folder.path, contracts);
  const [first] = contracts.flatMap(({ warnings }) => warnings);
  if (first && config.contract === "strict")
    throw new UserError(`${first} (contract: strict; mend it, or let the run go on with contract: warn)`);
}
