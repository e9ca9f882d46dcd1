import { expect, test } from "vitest";
import { table } from "../../bench/table.ts";
import { views } from "../../bench/views.ts";

test("bench/views makes the same batches on all sides, and shows how near they are", {
  timeout: 300_000,
}, async () => {
  const rows = await views.run({ tiny: true });
  for (const row of rows) {
    expect(Object.keys(row.peers)).toEqual(["Pillow + timm"]);
    expect(row.ours).toBeGreaterThan(0);
    expect(row.ratio).toBeGreaterThan(0);
  }
  const compared = rows
    .flatMap(({ details }) => Object.entries(details))
    .filter(([name]) => /same boxes/.test(name));
  // Pillow averages where it makes smaller, which ours, as the paper's code, does not.
  for (const [, words] of compared) expect(words).toMatch(/^\d+\.\d\d % of the values equal to ours/);
  expect(table(rows)).toContain("images/s");
});
