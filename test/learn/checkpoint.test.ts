import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { readNewestCheckpoint, writeCheckpoint } from "../../student-trainer/learn/checkpoint.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "checkpoints-"));
});

function standingAt(step: number) {
  return {
    step,
    order: { seed: 0, batch: 2, examplesSeen: 2 * step },
    evaluatedStep: 0,
    dataDigest: "sha256:data",
    metricsBytes: 0,
    ledgerBytes: 0,
    ledgerChain: "0".repeat(64),
    verifiedSteps: step,
    trainingSeconds: 1,
    waitingSeconds: 0,
    cacheHits: 0,
    cacheMisses: 0,
  };
}

async function write(step: number, keep: number): Promise<void> {
  const state = `state of step ${step}`;
  const sha256 = createHash("sha256").update(state).digest("hex");
  const saveState = async (path: string) => {
    writeFileSync(path, state);
    return { sha256, parametersSha256: "sha256:parameters" };
  };
  await writeCheckpoint(directory, standingAt(step), saveState, { keep });
}

const damage = (name: string) => writeFileSync(join(directory, name, "state.npz"), "damaged");

test("the newest is read, and as many stay as asked for", async () => {
  for (const step of [5, 10, 15]) await write(step, 2);
  expect(readdirSync(directory).sort()).toEqual(["step-000000010", "step-000000015"]);
  const found = await readNewestCheckpoint(directory, () => {});
  expect(found?.checkpoint).toMatchObject(standingAt(15));
});

test("a damaged one is passed over, told, and never kept in place of a whole one", async () => {
  await write(10, 2);
  await write(20, 2);
  damage("step-000000020");
  const told: string[] = [];
  const found = await readNewestCheckpoint(directory, (message) => told.push(message));
  expect(found?.checkpoint.step).toBe(10);
  expect(told).toEqual([expect.stringContaining("step-000000020 is damaged")]);
  await write(15, 1);
  expect(readdirSync(directory)).toEqual(["step-000000015"]);
});

test("only damaged ones: an error, since a new beginning would be a silent loss", async () => {
  await write(10, 1);
  damage("step-000000010");
  await expect(readNewestCheckpoint(directory, () => {})).rejects.toThrow(/no checkpoint in .* is whole/);
});

test("a draft that a killed process left is no checkpoint and goes with the next one; other folders stay", async () => {
  mkdirSync(join(directory, "step-000000007.draft"));
  mkdirSync(join(directory, "my best"));
  expect(await readNewestCheckpoint(directory, () => {})).toBeUndefined();
  await write(10, 1);
  expect(readdirSync(directory).sort()).toEqual(["my best", "step-000000010"]);
});
