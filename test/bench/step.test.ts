import { expect, test } from "vitest";
import { step } from "../../bench/step.ts";
import { table } from "../../bench/table.ts";

test("bench/step compares the same computation, and shows it as a table", { timeout: 180_000 }, async () => {
  const rows = await step.run({ tiny: true }); // it refuses a side whose losses are others
  const networks = ["BiT", "BiT of half the width", "MobileNetV3-large", "ViT"];
  expect(rows.map(({ name, dtype }) => `${name.split(",")[0]} ${dtype}`)).toEqual(
    networks.flatMap((name) => [`${name} float32`, `${name} bfloat16`]),
  );
  for (const { dtype, peers, details } of rows) {
    expect(Object.keys(peers)).toContain("tfjs-node eager, our network");
    const differences = Object.entries(details).filter(([name]) => name.includes("losses, largest"));
    expect(differences).toHaveLength(1 + Object.keys(peers).length);
    for (const [, difference] of differences)
      expect(difference).toBeLessThan(dtype === "float32" ? 1e-3 : 0.05);
  }
  expect(
    rows[1]!.details["ours: first 5 losses, largest relative difference to ours in float32"],
  ).toBeGreaterThan(0);
  expect(table(rows)).toContain("tfjs-node eager");
});
