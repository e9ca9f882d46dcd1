import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { secondsOf, totalSteps } from "../../student-trainer/learn/length.ts";
import { scheduleMultiplier } from "../../student-trainer/learn/schedule.ts";
import { startFunmatch, temporaryFolder } from "../e2e/services.ts";
import { configOf, LABEL_RUN, lines, stateAt, trainFromLabels } from "./label-run.ts";

test("a length is epochs, steps or a time", () => {
  expect(totalSteps({ epochs: 3 }, 64, 64)).toBe(3);
  expect(totalSteps({ epochs: 1_000_000 }, 1020, 512)).toBe(1_992_188);
  expect(totalSteps({ time: "3h" }, 64, 64)).toBeUndefined();
  expect(["90m", "1.5 h", "2d", "30s"].map(secondsOf)).toEqual([5400, 5400, 172_800, 30]);
});

test("a time is settled as steps before the first one; the run is then the same as one of so many steps", async () => {
  const timed = temporaryFolder("timed");
  const first = await trainFromLabels(timed, { length: { time: "6s" } });
  expect(first.code, first.output).toBe(0);
  const { time, steps } = configOf(timed).length;
  expect(time).toBe("6s");
  expect(first.output).toContain(`the run is ${steps} steps`);
  expect(steps).toBeGreaterThan(20);

  const counted = temporaryFolder("counted");
  const other = await trainFromLabels(counted, { length: { steps } });
  expect(other.code, other.output).toBe(0);
  expect(stateAt(counted, steps!).equals(stateAt(timed, steps!))).toBe(true);

  rmSync(join(timed, "run", "checkpoints", `step-${String(steps).padStart(9, "0")}`), { recursive: true });
  const again = await trainFromLabels(timed, { length: { time: "6s" } });
  expect(again.code, again.output).toBe(0);
  expect(again.output).not.toContain("measuring");
  expect(stateAt(timed, steps!).equals(stateAt(counted, steps!))).toBe(true);
}, 120_000);

test("another length is refused, or recorded when it is asked for", async () => {
  const folder = temporaryFolder("longer");
  const short = await trainFromLabels(folder);
  expect(short.code, short.output).toBe(0);

  const refused = await trainFromLabels(folder, { length: { steps: 10 } });
  expect(refused.code).toBe(2);
  expect(refused.output).toMatch(/another length \({"steps":6}, now {"steps":10}\).*--change-length/);

  const longer = await trainFromLabels(folder, { length: { steps: 10 } }, ["--change-length"]);
  expect(longer.code, longer.output).toBe(0);
  const change = { step: 6, length: { steps: 10 }, totalSteps: { from: 6, to: 10 } };
  const metrics = lines(folder, "metrics.jsonl");
  expect(metrics.filter((line) => "totalSteps" in line)).toEqual([change]);
  const rates = metrics.filter((line) => "learningRate" in line).map((line) => line.learningRate);
  const rate = (step: number, total: number) => 1e-3 * scheduleMultiplier({ decay: "cosine" }, step, total);
  expect(rates).toEqual([...Array(10).keys()].map((step) => rate(step, step < 6 ? 6 : 10)));
  expect(lines(folder, "ledger.jsonl")[7]).toMatchObject(change);

  const plain = await trainFromLabels(folder, { length: { steps: 10 } });
  expect(plain.code, plain.output).toBe(0);
  const audit = await startFunmatch(["audit", join(folder, "run")]).finished;
  expect(audit.output).toContain("its length was changed after step 6, from 6 to 10 steps");
  expect(audit.code, audit.output).toBe(0);

  const shorter = await trainFromLabels(folder, { length: { steps: 8 } }, ["--change-length"]);
  expect(shorter.code).toBe(2);
  expect(shorter.output).toContain("is at step 10 already");
  expect(configOf(folder).length, "a refused length leaves no trace").toEqual({ steps: 10 });

  const { images } = lines(folder, "ledger.jsonl")[0]!.data as { images: number };
  const inOtherWords = { epochs: (10 * LABEL_RUN.batch) / images };
  const same = await trainFromLabels(folder, { length: inOtherWords }, ["--change-length"]);
  expect(same.code, same.output).toBe(0);
  const again = await startFunmatch(["audit", join(folder, "run")]).finished;
  expect(again.code, again.output).toBe(0);
}, 120_000);

test("checkpoints of every k-th step stay beside the newest", async () => {
  const folder = temporaryFolder("keep-every");
  const checkpoint = { everySteps: 1, keep: 2, keepEvery: 3 };
  const { code, output } = await trainFromLabels(folder, { length: { steps: 8 }, checkpoint });
  expect(code, output).toBe(0);
  const kept = readdirSync(join(folder, "run", "checkpoints")).map((name) => Number(name.slice(5)));
  expect(kept.sort()).toEqual([3, 6, 7, 8]);
  const odd = await trainFromLabels(folder, { checkpoint: { everySteps: 2, keepEvery: 3 } });
  expect(odd.output).toContain("checkpoint.keepEvery: checkpoints are made every 2 steps");
});
