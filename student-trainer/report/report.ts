import { readFile, rename, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { UserError } from "@funmatch/config";
import { parse } from "yaml";
import { readCards } from "./card.ts";
import { readContracts } from "./contracts.ts";
import { readCurves } from "./metrics.ts";
import { pageOf, type Told } from "./page.ts";
import { summarySchema } from "./summary.ts";

/**
 * Writes `report.html` from the files of a run's folder alone: one file that needs no other and no network.
 * A run that has not ended is reported as far as it came.
 *
 * @param run the run's folder
 * @returns the path of the report
 * @throws UserError when the folder is not that of a run
 */
export async function writeReport(run: string): Promise<string> {
  const config = await readFile(join(run, "config.yaml"), "utf8").catch(() => {
    throw new UserError(`${run} is not a run: it has no config.yaml`);
  });
  const curves = await readCurves(join(run, "metrics.jsonl")).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    throw new UserError(`${run} has no metrics.jsonl yet: nothing to report`);
  });
  const summary = await readFile(join(run, "summary.json"), "utf8").catch(() => undefined);
  const samples = await readFile(join(run, "samples.png")).catch(() => undefined);
  const told: Told = {
    name: basename(run),
    config,
    settings: parse(config) as Told["settings"],
    curves,
    summary: summary === undefined ? undefined : summarySchema.parse(JSON.parse(summary)),
    cards: await readCards(run),
    contracts: await readContracts(run),
    samples,
  };
  const path = join(run, "report.html");
  await writeFile(`${path}.tmp`, pageOf(told));
  await rename(`${path}.tmp`, path);
  return path;
}
