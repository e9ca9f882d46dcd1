import { expect, test } from "vitest";
import {
  chainOf,
  FIRST_CHAIN,
  type LedgerLine,
  ledgerHead,
  ledgerLine,
  recordsOf,
} from "../../student-trainer/learn/ledger.ts";
import { someBatch } from "../teach/batches.ts";

const said = (version: string, verified = true) => ({ logits: new Float32Array(20), version, verified });

async function ledgerOf(steps: number): Promise<LedgerLine[]> {
  const lines: LedgerLine[] = [];
  for (let step = 1; step <= steps; step++) {
    const batch = await someBatch(step, 4, 3);
    const lesson = {
      batch,
      taught: [said("sha256:v")],
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
  const { questions } = await someBatch(2);
  const batch = { ...(await someBatch(1)), questions };
  const line = ledgerLine({ batch, taught: [said("v")], waitedSeconds: 0 }, FIRST_CHAIN);
  expect(line).toMatchObject({ digest: batch.views.digest, teacherDigest: questions[0]!.views.digest });
});

test("a line tells the digests that were sent, and none where nothing was", async () => {
  const [line] = await ledgerOf(1);
  expect(line?.chunks?.map(({ start, count }) => [start, count])).toEqual([
    [0, 3],
    [3, 1],
  ]);
  const batch = await someBatch(1);
  const untaught = ledgerLine({ batch, taught: [], waitedSeconds: 0 }, FIRST_CHAIN);
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
  const lesson = { batch: await someBatch(1), taught: [], waitedSeconds: 0 };
  const line = ledgerLine(lesson, FIRST_CHAIN, "sha256:p");
  expect(line.parametersSha256).toBe("sha256:p");
  expect(line.chain).not.toBe(ledgerLine(lesson, FIRST_CHAIN).chain);
});

test("of several teachers a line has a record each, and is verified if all of them are", async () => {
  const other = await someBatch(2);
  const one = await someBatch(1, 4, 2);
  const batch = { ...one, questions: [one.questions[0]!, other.questions[0]!] };
  const line = ledgerLine(
    { batch, taught: [said("v"), said("oip:w:1", false)], waitedSeconds: 0 },
    FIRST_CHAIN,
    undefined,
    [undefined, "oip:w:0"],
  );
  expect(line.teacherVersion).toBeUndefined();
  expect(line.verified).toBe(false);
  expect(recordsOf(line)).toMatchObject([
    { teacherVersion: "v", verified: true, chunks: one.questions[0]!.chunks },
    {
      ...{ teacherVersion: "oip:w:1", replaces: "oip:w:0", verified: false },
      ...{ teacherDigest: other.views.digest, chunks: other.questions[0]!.chunks },
    },
  ]);
  const [single] = await ledgerOf(1);
  expect(recordsOf(single!)).toMatchObject([{ teacherVersion: "sha256:v", verified: true }]);
});
