import { expect, test } from "vitest";
import { startProgress } from "../../student-trainer/report/progress.ts";

/** Twelve steps of 100 images, half a second each, a tenth of it waiting. */
function run(isTTY: boolean): string {
  const written: string[] = [];
  let time = 0;
  const screen = { isTTY, columns: 120, write: (text: string) => written.push(text) };
  const progress = startProgress(screen, () => time);
  for (let step = 1; step <= 12; step++) {
    time += 500;
    progress.step({ step, total: 20, loss: 1.23456, images: 100, waitedSeconds: 0.05 });
    if (step === 3) progress.note("step 3  test: accuracy 50.0 %");
  }
  progress.end();
  return written.join("");
}

test("on a terminal one line is written over and over, with everything in it", () => {
  const lines = run(true).split("\r\x1b[2K");
  expect(lines.at(-1)).toBe("step 12/20 (60 %)  loss 1.235  200 img/s  waiting for teacher 10 %  4 s left\n");
  expect(run(true)).toContain("\r\x1b[2Kstep 3  test: accuracy 50.0 %\n\r\x1b[2Kstep 3/20");
});

test("elsewhere a plain line comes every few seconds", () => {
  expect(run(false).split("\n")).toEqual([
    "step 3  test: accuracy 50.0 %",
    expect.stringMatching(/^step 10\/20 \(50 %\).* left$/),
    "",
  ]);
});
