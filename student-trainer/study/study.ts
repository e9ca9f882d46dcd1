import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { type Cell, cellsOf } from "./cells.ts";
import { runCells } from "./run-study.ts";
import type { StudyConfig } from "./study-config.ts";
import { writeStudyPage } from "./study-page.ts";
import { startStudyProgress } from "./study-progress.ts";

/** The runs of a study, and how many of them are made at once. */
export function openStudy(study: StudyConfig): { cells: Cell[]; parallel: number } {
  const cells = cellsOf(study, 1); // one thread each by default, so that results do not depend on the number of cores
  const threads = Math.max(...cells.map(({ config }) => config.threads ?? 1));
  const parallel = study.parallel ?? Math.max(1, Math.floor(availableParallelism() / threads));
  return { cells, parallel };
}

/**
 * Makes all runs of a study that are not there yet and writes its page after each.
 *
 * @returns where the page is, how many runs failed, and whether it was interrupted
 */
export async function runStudy(
  study: StudyConfig,
  { signal }: { signal: AbortSignal },
): Promise<{ page: string; failed: number; interrupted: boolean }> {
  const { cells, parallel } = openStudy(study);
  await mkdir(study.study, { recursive: true });
  const progress = startStudyProgress(cells.length);
  let page = await writeStudyPage(study, cells);
  let writing = Promise.resolve();
  const done = () => {
    writing = writing.then(async () => {
      page = await writeStudyPage(study, cells);
    });
    return writing;
  };
  try {
    const { failed, interrupted } = await runCells(cells, {
      ...{ parallel, signal, progress, done },
      auditSteps: study.auditSteps,
    });
    return { page, failed, interrupted };
  } finally {
    progress.end();
  }
}
