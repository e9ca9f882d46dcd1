import type { Teacher } from "../teach/client.ts";
import type { Design } from "../teach/designs.ts";
import type { Walk } from "./chain.ts";
import { type Check, checkOf, open } from "./check.ts";

/** Whether one teacher taught from the first step to the last, and whether it is the one that is served now. */
export function checkTeacher(walk: Walk, now: Teacher | string): Check {
  const name = "one teacher";
  const [first, ...others] = walk.versions;
  if (!first) return open(name, "no step was taught by a teacher");
  const findings = others.map(
    ([version, step]) => `from step ${step} on ${version} taught, before it ${first[0]}`,
  );
  const served = typeof now === "string" ? undefined : now.card.version;
  if (served && served !== first[0])
    findings.push(`served now is ${served}, the run was taught by ${first[0]}`);
  const still = served ? "which is still served" : `whether it is still served is open: ${now}`;
  return checkOf(name, findings, `every step was taught by ${first[0]}, ${still}`);
}

/** Whether every step was answered online for the very bytes that the student trained on. */
export function checkVerified({ steps, verifiedSteps }: Walk, design: Design): Check {
  const name = "same bytes";
  const { kind } = design.teaching;
  if (kind === "fixed" || kind === "labels")
    return open(name, `no teacher was asked for batches: teaching was ${kind}`);
  const missing = steps - verifiedSteps;
  const findings =
    missing === 0 ? [] : [`${missing} of ${steps} steps were not answered for their own bytes`];
  return checkOf(name, findings, `each of ${steps} steps was answered under the digest of its own bytes`);
}
