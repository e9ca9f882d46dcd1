import { expect, test } from "vitest";
import { forward } from "../../bench/forward.ts";
import { table } from "../../bench/table.ts";

test("bench/forward compares the same network in ours and in ONNX Runtime", {
  timeout: 600_000,
}, async () => {
  const rows = await forward.run({ tiny: true }); // it refuses a side whose logits are others
  expect(rows.map(({ name }) => name)).toEqual(["tiny, batch 1", "tiny, batch 4"]);
  for (const row of rows) {
    expect(row.ours).toBeGreaterThan(0);
    expect(Math.min(...Object.values(row.peers))).toBeGreaterThan(0);
    const differences = Object.entries(row.details).filter(([name]) => name.includes("largest difference"));
    expect(differences.length).toBeGreaterThan(0);
    for (const [, difference] of differences) expect(difference).toBeLessThan(1e-4);
  }
  expect(table(rows)).toContain("onnxruntime");
});
