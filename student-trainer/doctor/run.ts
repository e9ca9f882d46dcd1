import { existsSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import type { TrainConfig } from "../config.ts";
import { type Checkpoint, readNewestCheckpoint } from "../learn/checkpoint.ts";
import { changedKeys } from "../learn/run-folder.ts";
import { type Finding, fault, warning, well } from "./finding.ts";

/** Whether the run's folder is new, or holds a run that this config can go on with. */
export async function checkRun(
  config: TrainConfig,
): Promise<{ findings: Finding[]; checkpoint?: Checkpoint }> {
  const name = "run";
  const checkpoints = join(config.run, "checkpoints");
  const file = join(config.run, "config.yaml");
  if (!existsSync(checkpoints) || !existsSync(file))
    return { findings: [well(name, `${config.run} is new`)] };
  try {
    const damaged: string[] = [];
    const found = await readNewestCheckpoint(checkpoints, (line) => damaged.push(line));
    if (!found) return { findings: [well(name, `${config.run} has no checkpoint yet`)] };
    const { checkpoint } = found;
    const findings = damaged.map((line) => warning(name, line, "nothing; look at the disk's health"));
    const { changed } = await changedKeys(file, config);
    if (changed.length > 0) {
      const mend = "change it back, or choose another run";
      const length = changed.join() === "length" ? ", or go on with train --change-length" : "";
      findings.push(fault(name, `${config.run} is of a run with other ${changed.join(", ")}`, mend + length));
    } else findings.push(well(name, `${config.run} goes on after step ${checkpoint.step}`));
    return { findings, checkpoint };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { findings: [fault(name, error.message, "choose another run, or put it right")] };
  }
}
