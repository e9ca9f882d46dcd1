import { expect, test } from "vitest";
import { fairness } from "../../bench/fairness.ts";

test("bench/fairness: a flood loses nobody's requests, and who is a team of its own does not wait in its line", async () => {
  const [row] = await fairness.run({ tiny: true });
  expect(row!.details.lost).toBe(0);
  expect(row!.details["requests of the flood"]).toBeGreaterThan(64);
  expect(row!.ours).toBeLessThan(row!.peers["in the flood's own line"]!);
});
