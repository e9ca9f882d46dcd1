import { UserError } from "@funmatch/config";
import type { TrainConfig } from "../config.ts";
import { openPool, type ViewPool } from "../data/pool.ts";
import type { Source } from "../data/source.ts";
import { poolOptions } from "../learn/open-run.ts";
import { counted, percent } from "../report/words.ts";
import { type Finding, fault, warning, well } from "./finding.ts";

/** Images of a split that are decoded, in runs of neighbours spread over it. */
const [RUNS, RUN] = [16, 8];

/** Whether the splits can be read and belong together. The pool is for whoever asks on; it is to be closed. */
export async function checkData(config: TrainConfig): Promise<{ findings: Finding[]; pool?: ViewPool }> {
  let pool: ViewPool;
  try {
    // More corrupt images than the run allows are a finding, not an error.
    pool = await openPool({ ...poolOptions(config), maxCorrupt: 1 });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return {
      findings: [fault("data", error.message, "put the images there, or correct data in the config")],
    };
  }
  const findings: Finding[] = [];
  for (const [split, source] of Object.entries(pool.sources))
    findings.push(await checkSplit(pool, split, source, config));
  return { findings, pool };
}

/** Where a sample of a split is read: the first image and the number of images of each run. */
function sampleOf(size: number): { start: number; count: number }[] {
  const runs = Math.min(RUNS, Math.ceil(size / RUN));
  const apart = Math.max(RUN, Math.floor(size / runs));
  return Array.from({ length: runs }, (_, i) => ({
    start: i * apart,
    count: Math.min(RUN, size - i * apart),
  }));
}

async function checkSplit(
  pool: ViewPool,
  split: string,
  source: Source,
  config: TrainConfig,
): Promise<Finding> {
  const name = `data.${split}`;
  const corrupt = new Map<number, string>();
  let looked = 0;
  try {
    for (const { start, count } of sampleOf(source.size)) {
      const batch = await pool.evaluation(split, start, count);
      looked += count;
      for (const { index, message } of batch.replaced ?? []) corrupt.set(index, message);
      pool.release(batch);
    }
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return fault(name, error.message, "put it back, or take it out of the list");
  }
  const said = `${counted(source.size)} images of ${source.labels.length} classes, ${looked} of them decoded`;
  const { maxCorrupt } = config.data;
  if (corrupt.size > 0) {
    const broken = `${said}: ${percent(corrupt.size / looked)} corrupt (${[...corrupt.values()][0]})`;
    const mend = "replace or remove them";
    return corrupt.size > maxCorrupt * looked
      ? fault(name, broken, `${mend}, or raise data.maxCorrupt above ${percent(maxCorrupt)}`)
      : warning(name, broken, mend);
  }
  const empty = emptyClass(source);
  if (empty !== undefined && split === "train")
    return warning(name, `${said}; class ${empty} has no image`, "add some, or the student cannot learn it");
  return well(name, said);
}

function emptyClass(source: Source): string | undefined {
  const seen = new Set<number>();
  for (let i = 0; i < source.size && seen.size < source.labels.length; i++) seen.add(source.label(i));
  return source.labels.find((_, label) => !seen.has(label));
}
