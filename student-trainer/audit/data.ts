import type { Source } from "../data/source.ts";
import type { LedgerChange } from "../learn/ledger.ts";
import type { Walk } from "./chain.ts";
import { type Check, checkOf, open } from "./check.ts";

/** Whether the run's config is the one that it began with, but for the changes of its length that the ledger tells. */
export function checkConfig(
  { head, changes }: Pick<Walk, "head" | "changes">,
  now: Record<string, unknown>,
): Check {
  if (!head) return open("config", "the ledger has no head line: it is of an older trainer");
  const last = changes.at(-1);
  const then: Record<string, unknown> = last ? { ...head.config, length: last.length } : head.config;
  const said = (value: unknown) => JSON.stringify(value) ?? "absent";
  const keys = new Set([...Object.keys(then), ...Object.keys(now)]);
  const findings = [...keys]
    .filter((key) => said(then[key]) !== said(now[key]))
    .map((key) => `${key} is ${said(now[key])} in config.yaml, the run began with ${said(then[key])}`);
  return checkOf(
    "config",
    findings,
    `config.yaml is what the run began with${changes.map(changed).join("")}`,
  );
}

function changed({ step, totalSteps: { from, to } }: LedgerChange): string {
  return `; its length was changed after step ${step}, from ${from} to ${to} steps`;
}

/** Whether the training data is the one that the run began with. */
export function checkData(began: { digest: string; images?: number }, now: Source): Check {
  if (began.digest === now.digest)
    return checkOf("data", [], `the digest of ${now.name} is the one that the run began with`);
  const { images } = began;
  const size = images !== undefined && images !== now.size ? `; ${images} images then, ${now.size} now` : "";
  return checkOf("data", [`${now.name} is ${now.digest}, the run began with ${began.digest}${size}`], "");
}
