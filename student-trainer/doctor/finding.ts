/** What was looked at, and how it is. */
export interface Finding {
  name: string;
  /** warning: it will run, but perhaps not as meant. */
  state: "well" | "warning" | "fault";
  said: string;
  /** What to do about it. */
  mend?: string;
}

const MARKS = { well: "✓", warning: "!", fault: "✗" };

/** @example findingLines({ name: "disk", state: "fault", said: "full", mend: "free 1 GB" }) // "✗ disk   full\n    → free 1 GB" */
export function findingLines({ name, state, said, mend }: Finding): string {
  const line = `${MARKS[state]} ${name.padEnd(18)} ${said}`;
  return mend === undefined ? line : `${line}\n    → ${mend}`;
}

export function well(name: string, said: string): Finding {
  return { name, state: "well", said };
}

export function warning(name: string, said: string, mend: string): Finding {
  return { name, state: "warning", said, mend };
}

export function fault(name: string, said: string, mend: string): Finding {
  return { name, state: "fault", said, mend };
}
