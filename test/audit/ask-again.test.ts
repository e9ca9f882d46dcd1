import { expect, test } from "vitest";
import { askAgain } from "../../student-trainer/audit/ask-again.ts";
import { FIRST_CHAIN, ledgerLine } from "../../student-trainer/learn/ledger.ts";
import type { Call, Teacher } from "../../student-trainer/teach/client.ts";
import { someBatch } from "../teach/batches.ts";

const logits = Float32Array.from({ length: 20 }, (_, i) => Math.sin(i) * 4);

/** Asks a teacher that now says `now` about a step that was taught with `logits`. */
async function findings(now: Float32Array, bitStable: boolean, calls: Call[] = []): Promise<string[]> {
  const batch = await someBatch(3);
  const line = ledgerLine(
    { batch, taught: [{ logits, version: "v", verified: true }], waitedSeconds: 0 },
    FIRST_CHAIN,
  );
  const teacher = {
    card: { bitStable },
    ask: async (_: unknown, call: Call) => {
      calls.push(call);
      return { logits: now, version: "v", cache: "none" };
    },
  } as unknown as Teacher;
  return askAgain(teacher)(line, batch, new AbortController().signal);
}

test("asked as an evaluation past every cache, the same bits are no finding", async () => {
  const calls: Call[] = [];
  expect(await findings(logits.slice(), true, calls)).toEqual([]);
  expect(calls).toMatchObject([{ purpose: "eval", noStore: true }]);
});

test("other last bits are one only where the teacher promises the same bits", async () => {
  const near = logits.map((value) => value * (1 + 1e-6));
  expect(await findings(near, false)).toEqual([]);
  expect(await findings(near, true)).toEqual([expect.stringMatching(/^step 3: other logits .*rounding\)$/)]);
});

test("logits further away than the tolerance always are", async () => {
  const far = logits.map((value, i) => (i === 7 ? value + 0.5 : value));
  for (const stable of [true, false])
    expect(await findings(far, stable)).toEqual([
      expect.stringMatching(/^step 3: other logits \(relative distance 0\.0\d+\)$/),
    ]);
});
