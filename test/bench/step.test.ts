import { expect, test } from "vitest";
import { step } from "../../bench/step.ts";
import { table } from "../../bench/table.ts";

test("bench/step compares the same computation, and shows it as a table", async () => {
  const rows = await step.run({ tiny: true });
  const differences = Object.entries(rows[0]?.details ?? {}).filter(([name]) => name.startsWith("first "));
  expect(differences).toHaveLength(2);
  for (const [, difference] of differences) expect(difference).toBeLessThan(1e-3);
  expect(table(rows)).toContain("tfjs-node eager");
});
