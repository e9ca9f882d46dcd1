import { describe, expect, test } from "vitest";
import { addCounts, countsOf, lastLine } from "../counts.ts";

const nothing = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, testResults: [] };

describe("the last line of npm test", () => {
  test("counts a stage without tests as one", () => {
    expect(countsOf(0)).toEqual({ passed: 1, failed: 0, skipped: 0 });
    expect(countsOf(1)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });

  test("counts tests, and a file that does not load as one that failed", () => {
    const report = {
      numPassedTests: 5,
      numFailedTests: 1,
      numPendingTests: 2,
      testResults: [
        { status: "passed", assertionResults: [{ status: "passed" }] },
        { status: "failed", assertionResults: [{ status: "failed" }] },
        { status: "failed", assertionResults: [] },
      ],
    };
    expect(countsOf(1, report)).toEqual({ passed: 5, failed: 2, skipped: 2 });
  });

  test("a test run that ends badly without a failed test has failed", () => {
    expect(countsOf(1, nothing)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });

  test("adds up", () => {
    const total = addCounts({ passed: 1, failed: 0, skipped: 0 }, { passed: 5, failed: 2, skipped: 2 });
    expect(lastLine(total)).toBe("6 passed, 2 failed, 2 skipped");
    expect(lastLine({ passed: 3, failed: 0, skipped: 0 })).toBe("3 passed, 0 failed");
  });
});
