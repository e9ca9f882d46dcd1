import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { walkLedger } from "../../student-trainer/audit/chain.ts";
import type { Checkpoint } from "../../student-trainer/learn/checkpoint.ts";
import { ledgerHead, ledgerLine } from "../../student-trainer/learn/ledger.ts";
import { someBatch } from "../teach/batches.ts";

const STEPS = 6;

/** A good ledger's lines: the head, then the steps. `versionOf` a step is its teacher. */
async function goodLines(versionOf: (step: number) => string = () => "v"): Promise<string[]> {
  const head = ledgerHead({ data: { digest: "sha256:d", images: 24 }, config: {} });
  const lines: { chain: string }[] = [head];
  for (let step = 1; step <= STEPS; step++) {
    const lesson = {
      batch: await someBatch(step),
      taught: [{ logits: new Float32Array(20), version: versionOf(step), verified: true }],
      waitedSeconds: 0,
    };
    lines.push(ledgerLine(lesson, lines.at(-1)!.chain));
  }
  return lines.map((line) => JSON.stringify(line));
}

/** Walks a file of `lines` with a checkpoint made when it held `good`. */
async function walk(lines: string[], good: string[], sample = 3) {
  const path = join(mkdtempSync(join(tmpdir(), "funmatch-chain-")), "ledger.jsonl");
  writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
  const checkpoint = {
    step: STEPS,
    verifiedSteps: STEPS,
    ledgerBytes: Buffer.byteLength(good.join("\n")) + 1,
    ledgerChain: JSON.parse(good.at(-1)!).chain,
  } as Checkpoint;
  return walkLedger(path, checkpoint, sample);
}

test("a good ledger: unbroken, with as many sampled steps as asked for, in order", async () => {
  const good = await goodLines();
  const found = await walk(good, good);
  expect(found.chain.result).toBe("passed");
  expect(found).toMatchObject({ steps: STEPS, verifiedSteps: STEPS, head: { data: { images: 24 } } });
  const steps = found.sampled.map(({ step }) => step);
  expect(steps).toHaveLength(3);
  expect(steps).toEqual([...new Set(steps)].sort());
});

test("lines after the checkpoint, even a torn one, do not matter: a run that goes on writes them anew", async () => {
  const good = await goodLines();
  expect((await walk([...good, '{"step":7,"dig'], good)).chain.result).toBe("passed");
});

test("a line edited, taken out, put twice, exchanged or spoilt is named", async () => {
  const good = await goodLines();
  const said = async (lines: string[]) => (await walk(lines, good)).chain.said;
  const edited = good.with(3, good[3]!.replace('"verified":true', '"verified":false'));
  expect(await said(edited)).toMatch(
    /^line 4 \(step 3\) was changed, or the one before it is missing; the ledger/,
  );
  expect(await said(good.toSpliced(3, 1))).toMatch(
    /^line 4 \(step 4\) was changed.*; line 4 \(step 4\) follows step 2/,
  );
  expect(await said(good.toSpliced(3, 0, good[3]!))).toMatch(/^line 5 \(step 3\) was changed/);
  expect(await said(good.with(3, good[4]!).with(4, good[3]!))).toMatch(/^line 4 \(step 4\) was changed/);
  expect(await said(good.with(3, "no JSON"))).toMatch(/^line 4 \(after step 2\) is no ledger line/);
  expect(await said(good.with(0, good[0]!.replace("24", "25")))).toMatch(/^line 1 \(the head\) was changed/);
});

test("a ledger whose chain was computed anew does not fit its checkpoint", async () => {
  const good = await goodLines();
  const forged = await goodLines((step) => (step < 4 ? "v" : "w"));
  const found = await walk(forged, good);
  expect(found.chain.said).toBe(`the last chain is not the one in checkpoint ${STEPS}`);
  expect(found.versions).toEqual([
    [
      { version: "v", step: 1, accepted: false },
      { version: "w", step: 4, accepted: false },
    ],
  ]);
});
