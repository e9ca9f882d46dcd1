import { expect, test } from "vitest";
import {
  chainOf,
  FIRST_CHAIN,
  type LedgerLine,
  ledgerHead,
  ledgerLine,
} from "../../student-trainer/learn/ledger.ts";
import { someBatch } from "../teach/batches.ts";

async function ledgerOf(steps: number): Promise<LedgerLine[]> {
  const lines: LedgerLine[] = [];
  for (let step = 1; step <= steps; step++) {
    const batch = await someBatch(step, 4, 3);
    const lesson = {
      batch,
      logits: new Float32Array(20),
      version: "sha256:v",
      verified: true,
      waitedSeconds: 0,
    };
    lines.push(ledgerLine(lesson, lines.at(-1)?.chain ?? FIRST_CHAIN));
  }
  return lines;
}

/** The steps whose line does not carry the chain value that it must, in a ledger as it is read from its file. */
function brokenSteps(text: string): number[] {
  let chain = FIRST_CHAIN;
  return text.split("\n").flatMap((line) => {
    const { chain: said, ...content } = JSON.parse(line) as LedgerLine;
    chain = chainOf(content, chain);
    return chain === said ? [] : [content.step];
  });
}

test("whoever has the file can check its chain; an edited line breaks all that follow", async () => {
  const text = (await ledgerOf(4)).map((line) => JSON.stringify(line)).join("\n");
  expect(brokenSteps(text)).toEqual([]);
  expect(brokenSteps(text.replace('"step":2', '"step":7'))).toEqual([7, 3, 4]);
});

test("views of the teacher's own have their own digest beside the student's", async () => {
  const batch = { ...(await someBatch(1)), teacherViews: (await someBatch(2)).views };
  const line = ledgerLine({ batch, verified: true, waitedSeconds: 0 }, FIRST_CHAIN);
  expect(line).toMatchObject({ digest: batch.views.digest, teacherDigest: batch.teacherViews.digest });
});

test("a line tells the digests that were sent, and none where nothing was", async () => {
  const [line] = await ledgerOf(1);
  expect(line?.chunks?.map(({ start, count }) => [start, count])).toEqual([
    [0, 3],
    [3, 1],
  ]);
  const batch = await someBatch(1);
  const untaught = ledgerLine({ batch, verified: false, waitedSeconds: 0 }, FIRST_CHAIN);
  expect(JSON.parse(JSON.stringify(untaught))).toEqual({
    step: 1,
    digest: batch.views.digest,
    verified: false,
    chain: untaught.chain,
  });
});

test("the first line tells what the run began with, and the chain begins there", () => {
  const head = ledgerHead({ data: { digest: "sha256:d", images: 7 }, config: { seed: 3 } });
  const { chain, ...content } = head;
  expect(content).toEqual({ step: 0, data: { digest: "sha256:d", images: 7 }, config: { seed: 3 } });
  expect(chain).toBe(chainOf(content, FIRST_CHAIN));
});

test("a line may carry the digest of the parameters after its step", async () => {
  const lesson = { batch: await someBatch(1), verified: false, waitedSeconds: 0 };
  const line = ledgerLine(lesson, FIRST_CHAIN, "sha256:p");
  expect(line.parametersSha256).toBe("sha256:p");
  expect(line.chain).not.toBe(ledgerLine(lesson, FIRST_CHAIN).chain);
});
