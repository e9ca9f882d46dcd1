import { randomUUID } from "node:crypto";
import type { TrainBatch } from "../data/batch.ts";
import { type LedgerLine, logitsSha256 } from "../learn/ledger.ts";
import { logitsSketch, sketchDistance } from "../learn/logits-sketch.ts";
import { askPieces } from "../teach/chunks.ts";
import type { Teacher } from "../teach/client.ts";

/** Largest relative distance at which answers of a teacher that is not stable to the bit count as the same. */
export const TOLERANCE = 1e-3;

/** Asks about a step's bytes again, as an evaluation call past every cache, and says what is different now. */
export function askAgain(teacher: Teacher) {
  const session = randomUUID();
  return async (
    line: LedgerLine,
    { views, teacherViews, chunks }: TrainBatch,
    signal: AbortSignal,
  ): Promise<string[]> => {
    const call = {
      purpose: "eval" as const,
      requestId: `${session}-audit-${line.step}`,
      noStore: true,
      signal,
    };
    const { logits } = await askPieces(teacher.ask, teacherViews ?? views, chunks, call);
    if (logitsSha256(logits) === line.logits) return [];
    if (!line.sketch) return [`step ${line.step}: other logits`];
    const distance = sketchDistance(line.sketch, logitsSketch(logits));
    if (!teacher.card.bitStable && distance <= TOLERANCE) return [];
    const near = distance <= TOLERANCE ? "; as near as another machine's rounding" : "";
    return [`step ${line.step}: other logits (relative distance ${distance.toPrecision(2)}${near})`];
  };
}
