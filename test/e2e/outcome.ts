import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The lines of a `.jsonl` file. */
export function lines(path: string): Record<string, unknown>[] {
  const text = readFileSync(path, "utf8").trim();
  return text ? text.split("\n").map((line) => JSON.parse(line)) : [];
}

/** What a run came to that must not depend on whether a run was interrupted: everything but time. */
export function outcome(run: string) {
  const newest = readdirSync(join(run, "checkpoints")).sort().at(-1)!;
  const checkpoint = JSON.parse(readFileSync(join(run, "checkpoints", newest, "checkpoint.json"), "utf8"));
  const metrics = lines(join(run, "metrics.jsonl")).map((line) =>
    Object.fromEntries(Object.entries(line).filter(([key]) => !/(Seconds|PerSecond)$/.test(key))),
  );
  return {
    step: checkpoint.step,
    parametersSha256: checkpoint.parametersSha256,
    stateSha256: checkpoint.stateSha256,
    metrics,
    ledger: lines(join(run, "ledger.jsonl")),
  };
}
