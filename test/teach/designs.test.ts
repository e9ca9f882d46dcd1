import { expect, test } from "vitest";
import { labelTargets } from "../../student-trainer/teach/designs.ts";
import { someBatch } from "./batches.ts";

test("labels teach lambda for an image's own class and the rest for that of its mixup partner", async () => {
  const batch = { ...(await someBatch(0, 3)), labels: Int32Array.of(2, 0, 0), lambda: 0.75 };
  expect([...labelTargets(batch, 3)]).toEqual([0.25, 0, 0.75, 0.75, 0, 0.25, 1, 0, 0]);
});
