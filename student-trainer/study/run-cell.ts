/**
 * One run of a study, in a process of its own: trains (or goes on), then audits. The parent sends the config; when the
 * parent goes away the run stops after the step it is in, with a checkpoint.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { auditRun } from "../audit/audit.ts";
import type { TrainConfig } from "../config.ts";
import { train } from "../learn/train.ts";

export interface CellOrder {
  config: TrainConfig;
  digest: string;
  auditSteps: number;
}

/** What the parent is told at the end. */
export type CellAnswer = { end: "done" } | { end: "interrupted" } | { end: "failed"; why: string };

// Whoever read them is gone with the parent; the run still has a checkpoint to make.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

const stop = new AbortController();
for (const event of ["SIGINT", "SIGTERM", "disconnect"])
  process.on(event, () => stop.abort(new UserError("interrupted")));

process.once("message", async (order: CellOrder) => {
  const answer = await outcome(order);
  process.send?.(answer, () => process.disconnect());
});

async function outcome({ config, digest, auditSteps }: CellOrder): Promise<CellAnswer> {
  const mark = async (failed?: string) => {
    await mkdir(config.run, { recursive: true });
    await writeFile(join(config.run, "cell.json"), `${JSON.stringify({ digest, failed }, null, 2)}\n`);
  };
  try {
    await mark();
    const { signal } = stop;
    const summary = await train(config, { signal });
    if (!summary) return { end: "interrupted" };
    if (auditSteps > 0) await auditRun(config.run, { sample: auditSteps, signal, say: () => {} });
    return { end: "done" };
  } catch (error) {
    if (stop.signal.aborted) return { end: "interrupted" };
    const why = error instanceof Error ? error.message : String(error);
    await mark(why);
    return { end: "failed", why };
  }
}
