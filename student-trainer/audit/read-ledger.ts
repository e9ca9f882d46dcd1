import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { z } from "zod";
import type { LedgerChange, LedgerHead, LedgerLine } from "../learn/ledger.ts";

/** A line of a ledger's file as it stands. */
export interface ReadLine {
  /** From 1. */
  number: number;
  /** Bytes of the file up to the end of the line. */
  end: number;
  /** Absent when the line is no JSON object of a ledger line's shape. */
  content?: LedgerHead | LedgerChange | LedgerLine;
}

/**
 * Reads a ledger line by line, so that its length does not matter. A file that is not there has no lines.
 */
export async function* readLedger(path: string): AsyncGenerator<ReadLine> {
  const file = createReadStream(path);
  let number = 0;
  let end = 0;
  try {
    for await (const text of createInterface({ input: file, crlfDelay: Number.POSITIVE_INFINITY })) {
      end += Buffer.byteLength(text) + 1;
      yield { number: ++number, end, content: parsed(text) };
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  } finally {
    file.destroy();
  }
}

const text = z.string();
const record = {
  teacherDigest: text.optional(),
  chunks: z.array(z.looseObject({ start: z.int(), count: z.int(), digest: text })).optional(),
  sketch: z.array(z.number()).optional(),
};
const shape = z.looseObject({
  ...record,
  step: z.int().min(0),
  chain: text,
  data: z.looseObject({ digest: text }).optional(),
  config: z.looseObject({}).optional(),
  totalSteps: z.looseObject({}).optional(),
  length: z.looseObject({}).optional(),
  teacherVersion: text.optional(),
  teachers: z.array(z.looseObject({ ...record, teacherVersion: text })).optional(),
  pictures: z.array(text).optional(),
});

/** The line as it stands, since its chain is of its very keys in their order. */
function parsed(line: string): ReadLine["content"] {
  try {
    const value: unknown = JSON.parse(line);
    return shape.safeParse(value).success ? (value as LedgerLine) : undefined;
  } catch {
    return undefined;
  }
}
