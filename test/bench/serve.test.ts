import { expect, test } from "vitest";
import { serve } from "../../bench/serve.ts";
import { table } from "../../bench/table.ts";

test("bench/serve compares the same network behind several servers", { timeout: 600_000 }, async () => {
  const [row] = await serve.run({ tiny: true }); // it refuses a server whose logits are others
  expect(Object.keys(row!.peers)).toEqual(["LitServe"]);
  expect(row!.ours).toBeGreaterThan(0);
  expect(row!.details["ours: requests timed"]).toBeGreaterThan(0);
  expect(row!.details["LitServe: CPU seconds for 1,000 images"]).toBeGreaterThan(0);
  expect(table([row!])).toContain("images/s");
});
