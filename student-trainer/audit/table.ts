import type { Audit } from "./audit.ts";

const WORDS = { passed: "passed", failed: "FAILED", open: "open" } as const;

/** An audit as a table for the terminal, with its verdict below. */
export function auditTable({ step, sampledSteps, checks, passed }: Audit): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const rows = checks.map(({ name, result, said }) => `${name.padEnd(width)}  ${WORDS[result]}  ${said}`);
  const opened = checks.filter(({ result }) => result === "open").length;
  const notAll = opened > 0 ? `; ${opened} of ${checks.length} checks could not be made` : "";
  const verdict = passed ? `nothing is wrong up to step ${step}${notAll}` : "this run is not what it says";
  const sampled = sampledSteps.length <= 20 ? sampledSteps.join(", ") : `${sampledSteps.length} of them`;
  return [...rows, "", `sampled steps: ${sampled}`, verdict].join("\n");
}
