import { createHash } from "node:crypto";
import type { Lesson } from "../teach/window.ts";

/** One line of `ledger.jsonl`: what one step was taught from. */
export interface LedgerLine {
  step: number;
  /** Digest of the batch bytes that the student trained on. */
  digest: string;
  /** Digest of what the teacher saw, where its views are not the student's. */
  teacherDigest?: string;
  /** Image ranges of the batch and the digests that they were sent and answered under; absent if they were not sent. */
  chunks?: { start: number; count: number; digest: string }[];
  teacherVersion?: string;
  /** SHA-256 of the logits as applied, float32 little-endian. */
  logits?: string;
  /** True when every chunk was answered online under the digest of the very bytes made for the teacher: `chunks`. */
  verified: boolean;
  /** SHA-256 over the previous line's chain and this line without it: an edited line breaks all that follow. */
  chain: string;
}

/** The chain of an empty ledger. */
export const FIRST_CHAIN = "0".repeat(64);

/** Makes the ledger line of a lesson that is about to be applied. */
export function ledgerLine(lesson: Lesson, previousChain: string): LedgerLine {
  const { batch, logits, version } = lesson;
  const line: Omit<LedgerLine, "chain"> = {
    step: batch.step,
    digest: batch.views.digest,
    teacherDigest: batch.teacherViews?.digest,
    chunks: lesson.verified ? batch.chunks : undefined,
    teacherVersion: version,
    logits: logits && sha256(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength)),
    verified: lesson.verified,
  };
  return { ...line, chain: chainOf(line, previousChain) };
}

/** The chain value that a line must carry. */
export function chainOf(line: Omit<LedgerLine, "chain">, previousChain: string): string {
  return sha256(`${previousChain}\n${JSON.stringify(line)}`);
}

function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
