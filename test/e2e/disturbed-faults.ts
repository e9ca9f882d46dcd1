import type { Disturbed } from "./disturbed-run.ts";
import { NEIGHBOUR_IMAGES } from "./neighbour.ts";

/** What is wrong with how a disturbed run came out; nothing, if no step was lost or doubled and all was counted once. */
export function faultsOf(found: Disturbed): string[] {
  const { same, summary, ledgerSteps, audit, needed, repeatedAtMost, usage, neighbours } = found;
  const faults: [boolean, string][] = [
    [!same, "the run is another one than the undisturbed"],
    [
      summary.verifiedSteps !== summary.steps,
      `${summary.verifiedSteps} of ${summary.steps} steps are verified`,
    ],
    [new Set(ledgerSteps).size !== ledgerSteps.length, "the ledger has a step twice"],
    [Math.max(...ledgerSteps) !== summary.steps, "the ledger ends elsewhere than the run"],
    [audit.code !== 0, `the audit ended with ${audit.code}`],
    [usage.calls < needed, `${usage.calls} calls were counted, the run needs ${needed}`],
    [
      usage.calls > needed + repeatedAtMost,
      `${usage.calls} calls were counted, more than ${needed} + ${repeatedAtMost}`,
    ],
    [found.waits === 0, "the quota never made the run wait"],
    [found.stops.length === 0, "the run's key was never revoked"],
    ...found.stops.map((stop): [boolean, string] => [!/^exit [1-9].*401 unauthenticated/.test(stop), stop]),
    [found.revoked.some((status) => status !== 401), `revoked keys are answered ${found.revoked}`],
    ...neighbours.flatMap(({ team, answered, calls, images, wrong }): [boolean, string][] => [
      [wrong.length > 0, wrong.slice(0, 3).join("; ")],
      [calls !== answered, `${team} was answered ${answered} requests, ${calls} were counted`],
      [images !== answered * NEIGHBOUR_IMAGES, `${team}: ${images} images counted for ${answered} requests`],
    ]),
  ];
  return faults.filter(([wrong]) => wrong).map(([, what]) => what);
}
