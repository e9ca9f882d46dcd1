import type { Teacher } from "../teach/client.ts";
import type { Design } from "../teach/designs.ts";
import type { TaughtFrom, Walk } from "./chain.ts";
import { type Check, checkOf, NO_STEP, open } from "./check.ts";

/**
 * Whether one teacher taught from the first step to the last, and whether it is the one that is served now; of several
 * teachers, each of them. A change that the run's user had accepted is told, but is no finding.
 */
export function checkTeachers(walk: Walk, now: (Teacher | string)[]): Check[] {
  return now.map((teacher, i) => {
    const name = now.length > 1 ? `one teacher (${i + 1})` : "one teacher";
    return checkTeacher(name, walk.versions[i] ?? [], teacher);
  });
}

function checkTeacher(name: string, [first, ...others]: TaughtFrom[], now: Teacher | string): Check {
  if (!first) return open(name, "no step was taught by a teacher");
  const changes = others.map(({ version, step, accepted }, i) => {
    const before = (others[i - 1] ?? first).version;
    return { accepted, said: `from step ${step} on ${version} taught, before it ${before}` };
  });
  const findings = changes.filter(({ accepted }) => !accepted).map(({ said }) => said);
  const last = others.at(-1) ?? first;
  const served = typeof now === "string" ? undefined : now.card.version;
  if (served && served !== last.version)
    findings.push(`served now is ${served}, the run was taught by ${last.version}`);
  const accepted = changes.map(({ said }) => `, ${said}, as was accepted`).join("");
  const named = NAMES_ONLY.test(last.version)
    ? "; that is a name, which does not prove the same weights"
    : "";
  const still = served ? `which is still served${named}` : `whether it is still served is open: ${now}`;
  if (accepted) return checkOf(name, findings, `taught by ${first.version}${accepted}; ${still}`);
  return checkOf(name, findings, `every step was taught by ${first.version}, ${still}`);
}

/** The versions of Open Inference Protocol servers. */
const NAMES_ONLY = /^oip:/;

/** Whether every step was answered online for the very bytes that the student trained on. */
export function checkVerified(
  { steps, verifiedSteps }: Walk,
  design: Design,
  teachers: (Teacher | string)[],
): Check {
  const name = "same bytes";
  const { kind } = design.teaching;
  if (kind === "fixed" || kind === "labels")
    return open(name, `no teacher was asked for batches: teaching was ${kind}`);
  const silent = teachers.filter((teacher) => typeof teacher !== "string" && !teacher.echoesDigest);
  if (silent.length > 0 && verifiedSteps === 0)
    return open(
      name,
      `${(silent[0] as Teacher).url} does not say which bytes it answered for: all ${steps} steps are unverified`,
    );
  if (steps === 0) return open(name, NO_STEP);
  const missing = steps - verifiedSteps;
  const findings =
    missing === 0 ? [] : [`${missing} of ${steps} steps were not answered for their own bytes`];
  return checkOf(name, findings, `each of ${steps} steps was answered under the digest of its own bytes`);
}
