import type { Source } from "../data/source.ts";
import type { LedgerHead } from "../learn/ledger.ts";
import { type Check, checkOf, open } from "./check.ts";

/** Whether the run's config is the one that it began with. */
export function checkConfig(head: LedgerHead | undefined, now: Record<string, unknown>): Check {
  if (!head) return open("config", "the ledger has no head line: it is of an older trainer");
  const said = (value: unknown) => JSON.stringify(value) ?? "absent";
  const keys = new Set([...Object.keys(head.config), ...Object.keys(now)]);
  const findings = [...keys]
    .filter((key) => said(head.config[key]) !== said(now[key]))
    .map((key) => `${key} is ${said(now[key])} in config.yaml, the run began with ${said(head.config[key])}`);
  return checkOf("config", findings, "config.yaml is what the run began with");
}

/** Whether the training data is the one that the run began with. */
export function checkData(began: { digest: string; images?: number }, now: Source): Check {
  if (began.digest === now.digest)
    return checkOf("data", [], `the digest of ${now.name} is the one that the run began with`);
  const { images } = began;
  const size = images !== undefined && images !== now.size ? `; ${images} images then, ${now.size} now` : "";
  return checkOf("data", [`${now.name} is ${now.digest}, the run began with ${began.digest}${size}`], "");
}
