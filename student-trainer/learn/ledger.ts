import { createHash } from "node:crypto";
import { isVerified, type Lesson } from "../teach/window.ts";
import { logitsSketch } from "./logits-sketch.ts";

/** The first line of `ledger.jsonl`: what the run began with. */
export interface LedgerHead {
  step: 0;
  /** Digest and size of the training data. */
  data: { digest: string; images: number };
  /** Every key of the config that what is learned depends on: seed, design, batch … */
  config: Record<string, unknown>;
  chain: string;
}

/** A line where the run's length was changed, after `step`: learning rates of later steps are of the new length. */
export interface LedgerChange {
  step: number;
  /** As the config says it from here on. */
  length: object;
  /** Steps of the whole run, before and from here on. */
  totalSteps: { from: number; to: number };
  chain: string;
}

/** What one teacher said in one step. */
export interface TeacherRecord {
  /** Digest of what the teacher saw, where its views are not the student's. */
  teacherDigest?: string;
  /** Image ranges of the batch and the digests that they were sent under; absent if they were not sent. */
  chunks?: { start: number; count: number; digest: string }[];
  teacherVersion: string;
  /** The version that taught before, where it is another from this step on because the run's user said so. */
  replaces?: string;
  /** SHA-256 of the logits as applied, float32 little-endian. */
  logits: string;
  /** Of the same logits, to compare within a tolerance where bits may differ: `logitsSketch`. */
  sketch?: number[];
  /** True when every chunk was answered online under the digest of the very bytes that were made for the teacher. */
  verified: boolean;
}

/** One line of `ledger.jsonl`: what one step was taught from. With one teacher, its record stands in the line itself. */
export interface LedgerLine extends Partial<TeacherRecord> {
  step: number;
  /** Digest of the batch bytes that the student trained on. */
  digest: string;
  /** Of a run with several, in the order of its config. */
  teachers?: TeacherRecord[];
  /** Of each image's first use, in the order of the batch: what it was, so that a changed one can be named. */
  pictures?: string[];
  /** At the steps of checkpoints: SHA-256 of the parameters after the step. */
  parametersSha256?: string;
  /** True when every teacher's answer was. */
  verified: boolean;
  /** SHA-256 over the previous line's chain and this line without it: an edited line breaks all that follow. */
  chain: string;
}

/** The chain of an empty ledger. */
export const FIRST_CHAIN = "0".repeat(64);

/** Makes the line that a ledger begins with. */
export function ledgerHead(content: Pick<LedgerHead, "data" | "config">): LedgerHead {
  const line: Omit<LedgerHead, "chain"> = { step: 0, ...content };
  return { ...line, chain: chainOf(line, FIRST_CHAIN) };
}

/** Makes the line of a change of length. */
export function ledgerChange(content: Omit<LedgerChange, "chain">, previousChain: string): LedgerChange {
  return { ...content, chain: chainOf(content, previousChain) };
}

/**
 * Makes the ledger line of a lesson that was applied.
 *
 * @param parametersSha256 where they were read after it
 * @param replaced the versions that taught up to here, where a teacher is another one from this step on
 * @param records `teacherRecords` of the lesson, where they have been made before
 */
export function ledgerLine(
  lesson: Lesson,
  previousChain: string,
  parametersSha256?: string,
  replaced: (string | undefined)[] = [],
  records = teacherRecords(lesson),
): LedgerLine {
  const { batch } = lesson;
  const told = records.map((record, i) => ({ ...record, replaces: replaced[i] }));
  const line: Omit<LedgerLine, "chain"> = {
    step: batch.step,
    digest: batch.views.digest,
    ...(told.length > 1 ? { teachers: told } : told[0]),
    pictures: batch.pictures,
    parametersSha256,
    verified: isVerified(lesson),
  };
  return { ...line, chain: chainOf(line, previousChain) };
}

/** What each teacher says in a lesson. It takes time, a digest and a sketch of the logits, but not the step's outcome. */
export function teacherRecords({ batch, taught }: Pick<Lesson, "batch" | "taught">): TeacherRecord[] {
  return taught.map(({ logits, version, verified }, which) => {
    const question = batch.questions[which];
    return {
      teacherDigest: question && question.views !== batch.views ? question.views.digest : undefined,
      chunks: question?.chunks,
      teacherVersion: version,
      replaces: undefined, // its place in the line
      logits: logitsSha256(logits),
      sketch: logitsSketch(logits),
      verified,
    };
  });
}

/** What each teacher said in a step, in the order of the config; nothing where labels taught. */
export function recordsOf(line: LedgerLine): TeacherRecord[] {
  if (line.teachers) return line.teachers;
  return line.teacherVersion === undefined ? [] : [line as TeacherRecord];
}

/** The chain value that a line must carry. */
export function chainOf(line: object, previousChain: string): string {
  return sha256(`${previousChain}\n${JSON.stringify(line)}`);
}

/** SHA-256 of logits, float32 little-endian. */
export function logitsSha256({ buffer, byteOffset, byteLength }: Float32Array): string {
  return sha256(new Uint8Array(buffer, byteOffset, byteLength));
}

function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
