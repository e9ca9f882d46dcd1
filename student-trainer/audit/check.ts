/** One question that an audit answers. */
export interface Check {
  name: string;
  /** open: could not be answered; the words tell why. */
  result: "passed" | "failed" | "open";
  /** In plain words what was compared, or what is wrong and where. */
  said: string;
}

/** A check of findings: passed with `fine` if there are none, else failed with the first few of them. */
export function checkOf(name: string, findings: string[], fine: string): Check {
  return findings.length === 0
    ? { name, result: "passed", said: fine }
    : { name, result: "failed", said: firstFew(findings) };
}

export function open(name: string, why: string): Check {
  return { name, result: "open", said: why };
}

/** Why a check of steps is open where there are none. */
export const NO_STEP = "the ledger tells of no step";

const TOLD = 5;

function firstFew(findings: string[]): string {
  const more = findings.length > TOLD ? [`and ${findings.length - TOLD} more`] : [];
  return [...findings.slice(0, TOLD), ...more].join("; ");
}
