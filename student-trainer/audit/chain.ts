import { randomInt } from "node:crypto";
import type { Checkpoint } from "../learn/checkpoint.ts";
import {
  chainOf,
  FIRST_CHAIN,
  type LedgerChange,
  type LedgerHead,
  type LedgerLine,
  recordsOf,
} from "../learn/ledger.ts";
import { type Check, checkOf } from "./check.ts";
import { readLedger } from "./read-ledger.ts";

/** A teacher's version, and the step from which it taught. */
export interface TaughtFrom {
  version: string;
  step: number;
  /** Whether the run's user had said that it may replace the one before. */
  accepted: boolean;
}

/** What one pass over a ledger finds. */
export interface Walk {
  head?: LedgerHead;
  /** Where the run's length was changed. */
  changes: LedgerChange[];
  steps: number;
  verifiedSteps: number;
  /** Lines of random steps, in order of the steps. */
  sampled: LedgerLine[];
  /** Lines that tell what images were at their first use. */
  firstUses: LedgerLine[];
  /** Of each teacher, the versions that taught, in the order in which they came. */
  versions: TaughtFrom[][];
  /** Digests of the parameters by step. */
  parameters: Map<number, string>;
  /** Whether every line is what its chain says, and the last one what the checkpoint says. */
  chain: Check;
}

/**
 * Walks a ledger from its first line to where the newest checkpoint stands and recomputes its chain. An edited line is named; the lines after it follow from what it was and are good.
 *
 * @param sample how many lines to draw; all are equally likely
 */
export async function walkLedger(path: string, checkpoint: Checkpoint, sample: number): Promise<Walk> {
  const walk: Omit<Walk, "chain"> = {
    ...{ steps: 0, verifiedSteps: 0, sampled: [], firstUses: [], changes: [] },
    versions: [],
    parameters: new Map(),
  };
  const findings: string[] = [];
  let chain = FIRST_CHAIN;
  let end = 0;
  let step = 0;
  for await (const line of readLedger(path)) {
    const reached = step === checkpoint.step && walk.steps > 0;
    const changesLength = line.content !== undefined && "totalSteps" in line.content;
    const belongs = changesLength && chain !== checkpoint.ledgerChain; // a change at the checkpoint's own step
    if (reached && !belongs) break; // written after the checkpoint: a run that goes on cuts it off
    end = line.end;
    if (!line.content) {
      findings.push(`line ${line.number} (after step ${step}) is no ledger line`);
      continue;
    }
    const { chain: said, ...content } = line.content;
    if (chainOf(content, chain) !== said)
      findings.push(`${placeOf(line.number, content.step)} was changed, or the one before it is missing`);
    chain = said;
    const isHead = content.step === 0 && line.number === 1;
    const isChange = "totalSteps" in content;
    if (!isHead && content.step !== (isChange ? step : step + 1))
      findings.push(`${placeOf(line.number, content.step)} follows step ${step}`);
    step = content.step;
    if (isHead) walk.head = line.content as LedgerHead;
    else if (isChange) walk.changes.push(line.content as LedgerChange);
    else if (step >= 1 && step <= checkpoint.step) note(walk, line.content as LedgerLine, sample);
  }
  findings.push(...againstCheckpoint(checkpoint, { chain, end, step, walk }));
  walk.sampled.sort((a, b) => a.step - b.step);
  const fine = `${walk.steps} steps, unbroken from the first line to the chain in checkpoint ${checkpoint.step}`;
  return { ...walk, chain: checkOf("ledger", findings, fine) };
}

function note(walk: Omit<Walk, "chain">, line: LedgerLine, sample: number): void {
  walk.steps++;
  if (line.verified) walk.verifiedSteps++;
  if (line.pictures) walk.firstUses.push(line);
  for (const [i, { teacherVersion: version, replaces }] of recordsOf(line).entries()) {
    walk.versions[i] ??= [];
    const before = walk.versions[i].at(-1);
    if (before?.version === version) continue;
    const accepted = before !== undefined && replaces === before.version;
    walk.versions[i].push({ version, step: line.step, accepted });
  }
  if (line.parametersSha256) walk.parameters.set(line.step, line.parametersSha256);
  // Reservoir sampling: the n-th line stays with probability sample / n.
  if (walk.sampled.length < sample) walk.sampled.push(line);
  else {
    const place = randomInt(walk.steps);
    if (place < sample) walk.sampled[place] = line;
  }
}

function againstCheckpoint(
  checkpoint: Checkpoint,
  last: { chain: string; end: number; step: number; walk: Omit<Walk, "chain"> },
): string[] {
  const findings: string[] = [];
  const it = `checkpoint ${checkpoint.step}`;
  if (last.end !== checkpoint.ledgerBytes)
    findings.push(`the ledger has ${last.end} bytes, ${it} has seen ${checkpoint.ledgerBytes}`);
  if (last.step !== checkpoint.step) findings.push(`the ledger ends at step ${last.step}, not at ${it}`);
  if (last.chain !== checkpoint.ledgerChain) findings.push(`the last chain is not the one in ${it}`);
  if (last.walk.verifiedSteps !== checkpoint.verifiedSteps)
    findings.push(
      `${last.walk.verifiedSteps} steps are marked as verified, ${it} counts ${checkpoint.verifiedSteps}`,
    );
  return findings;
}

function placeOf(line: number, step: number): string {
  return step === 0 ? `line ${line} (the head)` : `line ${line} (step ${step})`;
}
