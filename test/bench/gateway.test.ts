import { expect, test } from "vitest";
import { gateway } from "../../bench/gateway.ts";

test("bench/gateway: both hosts pass calls on, answer from their store, and hold little", {
  timeout: 300_000,
}, async () => {
  const rows = await gateway.run({ tiny: true });
  const of = (part: RegExp) => rows.filter(({ name }) => part.test(name));
  expect(of(/at once/).map(({ details }) => details.calls)).toEqual([2, 2, 8, 8]);
  for (const { ours, peers } of of(/at once/)) expect(Math.min(ours, peers.direct!)).toBeGreaterThan(0);
  expect(of(/stored answer/)).toHaveLength(2);
  for (const { details } of of(/before a teacher/)) {
    expect(details["connections to the teacher"]).toBeGreaterThanOrEqual(4);
    expect(details["before, MB"]).toBeGreaterThan(10);
  }
});
