import { UserError } from "@funmatch/config";
import type { TrainBatch } from "../data/batch.ts";
import type { ViewPool } from "../data/pool.ts";
import { type LedgerLine, recordsOf } from "../learn/ledger.ts";
import { ahead } from "../teach/ahead.ts";

/** A recorded step made again from seed and data. */
export interface Remade {
  line: LedgerLine;
  /** Absent when it could not be made. */
  batch?: TrainBatch;
  /** What is wrong with it; nothing if it is the same to the byte, chunks and all. */
  findings: string[];
  /** Images whose pixels are not those of their first use. */
  changed: string[];
}

/**
 * Makes the batches of recorded steps again, with the threads that made them in training, and compares digests.
 * A batch's memory goes back to the pool when the next one is asked for.
 */
export async function* remake(
  pool: Pick<ViewPool, "train" | "release" | "sources">,
  lines: LedgerLine[],
  o: { inFlight: number; signal: AbortSignal },
): AsyncGenerator<Remade> {
  const start = async (i: number): Promise<Remade> => {
    const line = lines[i]!;
    try {
      const batch = await pool.train(line.step);
      const changed = changedPictures(line, batch).map(pool.sources.train!.nameOf);
      return { line, batch, findings: differences(line, batch), changed };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return { line, findings: [`step ${line.step} cannot be made again: ${error.message}`], changed: [] };
    }
  };
  for await (const made of ahead({ from: 0, to: lines.length, start, ...o })) {
    yield made;
    if (made.batch) pool.release(made.batch);
  }
}

function differences(line: LedgerLine, { views, questions }: TrainBatch): string[] {
  const findings: string[] = [];
  const sameViews = views.digest === line.digest;
  if (!sameViews) findings.push(`step ${line.step}: other bytes than it was taught from`);
  for (const [i, { teacherDigest, chunks }] of recordsOf(line).entries()) {
    const question = questions[i];
    const who = line.teachers ? `teacher ${i + 1}` : "the teacher";
    const own = question && question.views !== views ? question.views.digest : undefined;
    if (own !== teacherDigest)
      findings.push(`step ${line.step}: ${who}'s own views are other bytes than it was asked for`);
    // Chunks that were sent must be those bytes too: this is where student and teacher could part.
    const same = !chunks || JSON.stringify(chunks) === JSON.stringify(question?.chunks);
    if (!same && sameViews)
      findings.push(`step ${line.step}: ${who} was sent other bytes than were made for it`);
  }
  return findings;
}

/** Numbers of the images that are not what they were; of one that cannot be read now its own, not its stand-in's. */
function changedPictures(line: LedgerLine, { indices, pictures, replaced = [] }: TrainBatch): number[] {
  const then = line.pictures ?? [];
  return then.flatMap((digest, place) => {
    const shown = indices[place]!;
    if (digest === pictures?.[place]) return [];
    return [replaced.find(({ by }) => by === shown)?.index ?? shown];
  });
}
