import { randomUUID } from "node:crypto";
import type { TrainBatch } from "../data/batch.ts";
import { askPieces } from "./chunks.ts";
import type { Teacher } from "./client.ts";
import type { Taught } from "./window.ts";

/**
 * Teaches a batch by asking for the very bytes that the student trains on, or for those that were made for the teacher
 * where a design gives it views of its own: a request for each chunk.
 * Request ids are new in every sitting: a step that is done again after a crash was really asked again.
 */
export function teachOnline(teacher: Teacher) {
  const session = randomUUID();
  return async ({ step, views, teacherViews, chunks }: TrainBatch, signal: AbortSignal): Promise<Taught> => {
    const call = { purpose: "train" as const, requestId: `${session}-${step}`, signal };
    const { logits, version } = await askPieces(teacher.ask, teacherViews ?? views, chunks, call);
    return { logits, version, verified: true };
  };
}
