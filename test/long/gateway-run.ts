/**
 * The trainer behind a gateway and two teachers at 200 requests a minute, while keys are revoked, quotas hit, teachers
 * killed and the gateway restarted: `node test/long/gateway-run.ts 10` (minutes) tells what happened and what came of
 * it; exit code 1 if a step was lost or doubled, or anything was counted wrong.
 */

import { faultsOf } from "../e2e/disturbed-faults.ts";
import { disturbedRun } from "../e2e/disturbed-run.ts";

const RATE = 200;
const minutes = Number(process.argv[2] ?? 10);
const found = await disturbedRun({
  ...{
    steps: (minutes * RATE) / 2,
    rate: RATE,
    burst: RATE,
    rounds: Math.max(1, Math.round(minutes / 5)),
    neighbourEveryMs: 500,
  },
  tell: console.log,
});
const { audit, ledgerSteps, ...rest } = found;
console.log(JSON.stringify(rest, null, 2));
console.log(audit.output);
const faults = faultsOf(found);
for (const fault of faults) console.log(`WRONG: ${fault}`);
process.exitCode = faults.length === 0 ? 0 : 1;
