import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type Summary, summarySchema } from "../report/summary.ts";
import type { Cell } from "./cells.ts";

/** What became of a run of a study. */
export type Outcome =
  | { state: "missing" }
  | { state: "failed"; why: string }
  | { state: "done"; summary: Summary; audit: "passed" | "failed" | "open" };

/** `cell.json`, in a run's folder: which run of which study it is, and why it failed if it did. */
const markSchema = z.object({ digest: z.string(), failed: z.string().optional() });

/** What the folder of a run says; a run that another config was made for is missing. */
export async function outcomeOf({ run, digest }: Cell): Promise<Outcome> {
  const mark = markSchema.safeParse(await readJson(join(run, "cell.json")));
  if (!mark.success || mark.data.digest !== digest) return { state: "missing" };
  if (mark.data.failed !== undefined) return { state: "failed", why: mark.data.failed };
  const summary = summarySchema.safeParse(await readJson(join(run, "summary.json")));
  const audit = z.object({ passed: z.boolean() }).safeParse(await readJson(join(run, "audit.json")));
  if (!summary.success) return { state: "missing" };
  const audited = !audit.success ? "open" : audit.data.passed ? "passed" : "failed";
  return { state: "done", summary: summary.data, audit: audited };
}

/** Undefined for what is not there or is no JSON. */
async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch {
    return undefined;
  }
}
