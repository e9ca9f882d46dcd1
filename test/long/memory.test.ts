import { expect, test } from "vitest";
import { memoryRun, peaks } from "./memory-run.ts";

/** 40 % of the run is there to settle in: graphs are optimised, pools filled, the heap has grown once. */
const SETTLED = 0.4;
/** What the heap still settles, in MiB; a batch of views kept by each of the later steps would be 84. */
const NOISE = 48;

test.skipIf(process.platform !== "linux")(
  "memory of 3,000 epochs over 64 images is flat, a teacher, evaluations and checkpoints included",
  async () => {
    const { samples, bytesPerStep, code, output } = await memoryRun({ epochs: 3000, side: 16, everyMs: 250 });
    expect(code, output).toBe(0);
    const training = samples.filter(({ step }) => step > 0);
    const [first, last] = [training[0]!.seconds, training.at(-1)!.seconds];
    const { before, after } = peaks(training, first + SETTLED * (last - first));
    console.log(`most until ${SETTLED * 100} %: ${before.toFixed(0)} MiB, later ${after.toFixed(0)} MiB`);
    expect(after - before).toBeLessThan(NOISE);
    expect(bytesPerStep.ledger).toBeLessThan(700);
  },
  240_000,
);
