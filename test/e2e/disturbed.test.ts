import { expect, test } from "vitest";
import { faultsOf } from "./disturbed-faults.ts";
import { disturbedRun } from "./disturbed-run.ts";

test("keys revoked, quotas hit, teachers killed, the gateway restarted: no step lost, none doubled, all counted once", async () => {
  const found = await disturbedRun({
    ...{ steps: 160, rate: 1500, burst: 8, rounds: 1, neighbourEveryMs: 250 },
    tell: console.log,
  });
  expect(faultsOf(found), found.audit.output).toEqual([]);
}, 300_000);
