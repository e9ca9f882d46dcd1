import { randomUUID } from "node:crypto";
import type { Question, TrainBatch } from "../data/batch.ts";
import { askPieces } from "./chunks.ts";
import type { Teacher } from "./client.ts";
import type { Taught } from "./window.ts";

/**
 * Teaches a batch by asking for the very bytes that the student trains on, or for those that were made for the teacher
 * where a design or its resolution gives it views of its own: a request for each chunk.
 * Request ids are new in every sitting: a step that is done again after a crash was really asked again.
 *
 * @param which of the batch's questions is this teacher's
 */
export function teachOnline(teacher: Teacher, which: number) {
  const session = randomUUID();
  return async ({ step, questions }: TrainBatch, signal: AbortSignal): Promise<Taught> => {
    const { views, chunks } = questions[which] as Question;
    const call = { purpose: "train" as const, requestId: `${session}-${step}`, signal };
    const { logits, version } = await askPieces(teacher.ask, views, chunks, call);
    return { logits, version, verified: teacher.echoesDigest };
  };
}
