import { randomUUID } from "node:crypto";
import type { Question, TrainBatch } from "../data/batch.ts";
import { type LedgerLine, logitsSha256, recordsOf } from "../learn/ledger.ts";
import { logitsSketch, sketchDistance } from "../learn/logits-sketch.ts";
import { askPieces } from "../teach/chunks.ts";
import type { Teacher } from "../teach/client.ts";

/** Largest relative distance at which answers of a teacher that is not stable to the bit count as the same. */
export const TOLERANCE = 1e-3;

/**
 * Asks a teacher about a step's bytes again, as an evaluation call past every cache, and says what is different now.
 *
 * @param which of the run's teachers it is
 */
export function askAgain(teacher: Teacher, which = 0) {
  const session = randomUUID();
  return async (line: LedgerLine, { questions }: TrainBatch, signal: AbortSignal): Promise<string[]> => {
    const call = {
      purpose: "eval" as const,
      requestId: `${session}-audit-${line.step}`,
      noStore: true,
      signal,
    };
    const records = recordsOf(line);
    const who = records.length > 1 ? ` of ${teacher.url}` : "";
    const { views, chunks } = questions[which] as Question;
    const { logits } = await askPieces(teacher.ask, views, chunks, call);
    const then = records[which];
    if (logitsSha256(logits) === then?.logits) return [];
    if (!then?.sketch) return [`step ${line.step}: other logits${who}`];
    const distance = sketchDistance(then.sketch, logitsSketch(logits));
    if (!teacher.card.bitStable && distance <= TOLERANCE) return [];
    const near = distance <= TOLERANCE ? "; as near as another machine's rounding" : "";
    return [`step ${line.step}: other logits${who} (relative distance ${distance.toPrecision(2)}${near})`];
  };
}
