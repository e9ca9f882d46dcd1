import { UserError } from "@funmatch/config";
import { readTrainConfig, type TrainConfig } from "../config.ts";
import { totalSteps } from "../learn/length.ts";
import { checkData } from "./data.ts";
import { checkEngine } from "./engine.ts";
import { type Finding, fault, well } from "./finding.ts";
import { checkRun } from "./run.ts";
import { checkSpace } from "./space.ts";
import { checkTeacher } from "./teacher.ts";

/**
 * Looks at all that a run needs, whatever fails: the engine and, with a config, data, teachers, the run's folder, disk
 * and memory. Nothing is written; each teacher is sent a sample of pictures.
 *
 * @param tell told of each finding as it is made
 * @returns whether nothing is at fault
 */
export async function examineAll(
  config: { path: string; sets: string[] } | undefined,
  tell: (finding: Finding) => void,
): Promise<boolean> {
  let healthy = true;
  const told = (findings: Finding[]) => {
    for (const finding of findings) {
      healthy &&= finding.state !== "fault";
      tell(finding);
    }
  };
  told(await checkEngine());
  if (!config) return healthy;
  const read = readOrFault(config);
  if ("fault" in read) {
    told([read.fault]);
    return healthy;
  }
  told([well("config", config.path)]);
  await examineRun(read.config, told);
  return healthy;
}

async function examineRun(config: TrainConfig, told: (findings: Finding[]) => void): Promise<void> {
  const { findings, checkpoint } = await checkRun(config);
  told(findings);
  const data = await checkData(config);
  told(data.findings);
  try {
    for (const which of config.teachers.keys()) {
      const began = checkpoint?.teacherVersions?.[which];
      told(await checkTeacher(which, { config, pool: data.pool, began }));
    }
    if (!data.pool) return;
    const { labels, size } = data.pool.sources.train!;
    const steps = totalSteps(config.length, size, config.batch) ?? 0;
    told(await checkSpace(config, labels.length, steps));
  } finally {
    await data.pool?.close();
  }
}

function readOrFault({
  path,
  sets,
}: {
  path: string;
  sets: string[];
}): { config: TrainConfig } | { fault: Finding } {
  try {
    return { config: readTrainConfig(path, sets) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { fault: fault("config", error.message, "see docs/run.schema.json") };
  }
}
