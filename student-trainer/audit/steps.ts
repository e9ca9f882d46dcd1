import type { ViewPool } from "../data/pool.ts";
import type { LedgerLine } from "../learn/ledger.ts";
import type { Teacher } from "../teach/client.ts";
import type { Design } from "../teach/designs.ts";
import { TeacherError } from "../teach/errors.ts";
import { askAgain, TOLERANCE } from "./ask-again.ts";
import { type Remade, remake } from "./batches.ts";
import type { Walk } from "./chain.ts";
import { type Check, checkOf, NO_STEP, open } from "./check.ts";

/** First uses of so many images are made again in every audit; of more only if something else is wrong. */
const ALWAYS_LOOKED_AT = 20_000;
const IN_FLIGHT = 8;

interface StepOptions {
  walk: Walk;
  design: Design;
  pool: ViewPool;
  /** Each, or why it cannot be asked. */
  teachers: (Teacher | string)[];
  /** What the comparison of the data's digests gave, and what the run began with. */
  data: Check;
  began: { images?: number };
  sample: number;
  signal: AbortSignal;
}

/**
 * Makes the sampled steps again and asks the teachers about them, then makes every first use of an image again,
 * so that changed images are found and named.
 */
export async function checkSteps(o: StepOptions): Promise<Check[]> {
  const { sampled, firstUses } = o.walk;
  const why = whyNotAsked(o);
  const asking = why === undefined ? o.teachers.map((teacher, i) => askAgain(teacher as Teacher, i)) : [];
  const other: string[] = [];
  const changed = new Set<string>();
  const answers: string[] = [];
  let asked = 0;
  let looked = 0;
  let unmade = 0;
  const look = ({ line, batch, findings, changed: pictures }: Remade) => {
    other.push(...findings);
    for (const picture of pictures) changed.add(picture);
    const images = line.pictures?.length ?? 0;
    if (batch) looked += images;
    else unmade += images;
  };
  let refused: string | undefined;
  for await (const made of remade(o, sampled)) {
    look(made);
    const { line, batch, findings } = made;
    if (!batch || findings.length > 0 || refused || why !== undefined) continue;
    try {
      for (const ask of asking) answers.push(...(await ask(line, batch, o.signal)));
      asked++;
    } catch (error) {
      if (!(error instanceof TeacherError)) throw error;
      refused = error.message;
    }
  }
  const done = new Set(sampled);
  const rest = firstUses.filter((line) => !done.has(line));
  const images = firstUses.reduce((sum, { pictures }) => sum + pictures!.length, 0);
  const lookAtAll = images <= ALWAYS_LOOKED_AT || other.length > 0 || o.data.result === "failed";
  if (lookAtAll && hasSameSize(o)) for await (const made of remade(o, rest)) look(made);
  const made = sampled.length + (lookAtAll ? rest.length : 0);
  const same = `${made} steps, made again from seed and data, are the same to the byte`;
  return [
    made === 0 ? open("batches", NO_STEP) : checkOf("batches", other, same),
    imagesCheck(o, [...changed], looked, unmade),
    answersCheck(answers, asked, why ?? refused, o.teachers),
  ];
}

function remade(o: StepOptions, lines: LedgerLine[]) {
  return remake(o.pool, lines, { inFlight: IN_FLIGHT, signal: o.signal });
}

function imagesCheck(o: StepOptions, changed: string[], looked: number, unmade: number): Check {
  const name = "images";
  if (!hasSameSize(o))
    return open(name, "with another number of images every batch is another: none can be named");
  if (looked + unmade === 0) return open(name, "the ledger tells of no image");
  const findings = changed.map((picture) => `${picture} was changed`);
  if (findings.length === 0 && unmade > 0)
    return open(name, `${looked} are as they were; ${unmade} are of batches that cannot be made again`);
  return checkOf(name, findings, `${looked} are as they were`);
}

function hasSameSize({ began, pool }: StepOptions): boolean {
  return began.images === undefined || began.images === pool.sources.train!.size;
}

/** Why the teachers' answers cannot be compared, if so. */
function whyNotAsked({ teachers, design, walk }: StepOptions): string | undefined {
  const { kind } = design.teaching;
  if (kind === "fixed" || kind === "labels") return `no teacher was asked for batches: teaching was ${kind}`;
  for (const [i, teacher] of teachers.entries()) {
    if (typeof teacher === "string") return teacher;
    const versions = walk.versions[i] ?? [];
    if (versions.length > 1) return "not asked: more than one version taught";
    if (teacher.card.version !== versions[0]?.version) return "not asked: another teacher is served";
  }
  return undefined;
}

function answersCheck(
  findings: string[],
  asked: number,
  why: string | undefined,
  teachers: (Teacher | string)[],
): Check {
  if (findings.length === 0 && why) return open("answers", why);
  if (asked === 0) return open("answers", "no batch could be made again, so none was asked about");
  const stable = teachers.every((teacher) => typeof teacher !== "string" && teacher.card.bitStable);
  const how = stable ? "bit for bit" : `within ${TOLERANCE} of the logits' length`;
  return checkOf("answers", findings, `${asked} steps, asked about again, got the same logits ${how}`);
}
