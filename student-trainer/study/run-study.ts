import { fork } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Cell } from "./cells.ts";
import { outcomeOf } from "./outcome.ts";
import type { CellAnswer, CellOrder } from "./run-cell.ts";
import type { StudyProgress } from "./study-progress.ts";

/**
 * Makes the runs of a study that are not there yet, several at a time; a run that was interrupted goes on, one that
 * failed is tried again, one that fails does not keep the others from being made.
 *
 * @param o.done told after each run that ended
 * @returns how many failed, and whether it was interrupted
 */
export async function runCells(
  cells: Cell[],
  o: {
    parallel: number;
    auditSteps: number;
    signal: AbortSignal;
    progress: StudyProgress;
    done: () => Promise<void>;
  },
): Promise<{ failed: number; interrupted: boolean }> {
  const { progress, signal } = o;
  const waiting: Cell[] = [];
  for (const cell of cells) {
    const { state } = await outcomeOf(cell);
    if (state === "done") progress.found(cell.name);
    else waiting.push(cell);
  }
  let failed = 0;
  const lane = async () => {
    for (let cell = waiting.shift(); cell !== undefined && !signal.aborted; cell = waiting.shift()) {
      progress.begun(cell.name);
      const answer = await runCell(cell, o);
      progress.ended(cell.name, answer);
      if (answer.end === "failed") failed++;
      if (answer.end !== "interrupted") await o.done();
    }
  };
  await Promise.all(Array.from({ length: o.parallel }, lane));
  return { failed, interrupted: signal.aborted };
}

async function runCell(
  cell: Cell,
  o: { auditSteps: number; signal: AbortSignal; progress: StudyProgress },
): Promise<CellAnswer> {
  const child = fork(fileURLToPath(new URL("./run-cell.ts", import.meta.url)), [], {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    detached: true, // Ctrl-C reaches this process alone, which then tells its children once
  });
  const stop = () => void (child.connected && child.disconnect());
  o.signal.addEventListener("abort", stop);
  let last = "";
  for (const stream of [child.stdout!, child.stderr!])
    createInterface({ input: stream }).on("line", (line) => {
      last = line;
      const at = /^step (\d+)\/(\d+)/.exec(line);
      if (at) o.progress.step(cell.name, Number(at[1]) / Number(at[2]));
    });
  let answer: CellAnswer | undefined;
  child.on("message", (told: CellAnswer) => {
    answer = told;
  });
  child.on("error", () => {});
  child.send({ config: cell.config, digest: cell.digest, auditSteps: o.auditSteps } satisfies CellOrder);
  const [code, signal] = await once(child, "close");
  o.signal.removeEventListener("abort", stop);
  if (answer) return answer;
  if (o.signal.aborted) return { end: "interrupted" };
  return { end: "failed", why: `its process ended with ${signal ?? code}: ${last}` };
}
