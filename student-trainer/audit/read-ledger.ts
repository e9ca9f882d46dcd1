import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { LedgerChange, LedgerHead, LedgerLine } from "../learn/ledger.ts";

/** A line of a ledger's file as it stands. */
export interface ReadLine {
  /** From 1. */
  number: number;
  /** Bytes of the file up to the end of the line. */
  end: number;
  /** Absent when the line is no JSON object with a step and a chain. */
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

function parsed(text: string): ReadLine["content"] {
  try {
    const value = JSON.parse(text) as Partial<LedgerLine> | null;
    const isLine = Number.isInteger(value?.step) && typeof value?.chain === "string";
    return isLine ? (value as LedgerLine) : undefined;
  } catch {
    return undefined;
  }
}
