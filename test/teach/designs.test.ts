import { expect, test } from "vitest";
import { labelTargets } from "../../student-trainer/teach/designs.ts";
import { someBatch } from "./batches.ts";

test("labels teach lambda for an image's own class and the rest for that of its mixup partner", async () => {
  const batch = { ...(await someBatch(0, 3)), labels: Int32Array.of(2, 0, 0), lambda: 0.75 };
  expect([...labelTargets(batch, 3)]).toEqual([0.25, 0, 0.75, 0.75, 0, 0.25, 1, 0, 0]);
});

test("with a lambda for each image, labels are mixed as its pixels are", async () => {
  const lambdas = Float32Array.of(0.75, 1, 0.5);
  const batch = { ...(await someBatch(0, 3)), labels: Int32Array.of(2, 0, 0), lambda: 0.75, lambdas };
  expect([...labelTargets(batch, 3)]).toEqual([0.25, 0, 0.75, 1, 0, 0, 1, 0, 0]);
});
