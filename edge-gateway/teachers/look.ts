import { modelListSchema, WireError } from "@funmatch/wire";
import { startDeadline } from "../deadline.ts";
import { failed, probed, standing } from "./breaker.ts";
import { doubt, type Origin } from "./origin.ts";
import { type Asker, askTeacher, readJson } from "./teacher.ts";

/** A teacher that does not tell its cards in this time is not well. */
const LOOK_MS = 5000;

/**
 * Looks at a teacher, which is the active health check: reads its cards, and so learns its models, their versions and
 * whether they are ready. Its own time limit applies, not the caller's, so that no client's haste makes a teacher ill.
 *
 * @returns what is wrong with it, or undefined
 */
export async function look(origin: Origin, asker: Asker): Promise<WireError | undefined> {
  origin.lookedAtUntil = Date.now() + LOOK_MS;
  try {
    const deadline = startDeadline(String(LOOK_MS), new AbortController().signal);
    const call = { method: "GET", path: "/v1/models", purpose: "eval" } as const;
    const answer = await askTeacher(origin, { ...asker, deadline }, call);
    const list = modelListSchema.safeParse(await readJson(answer, deadline));
    if (!list.success)
      throw new WireError("upstream_unreachable", "the teacher's /v1/models is not that of this API");
    origin.told = { cards: new Map(list.data.models.map((card) => [card.id, card])), at: Date.now() };
    if (standing(origin.breaker, Date.now()) === "half-open") probed(origin.breaker);
    return undefined;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    failed(origin.breaker, 2, Date.now());
    doubt(origin);
    if (error.code !== "deadline_exceeded") return error;
    return new WireError("upstream_unreachable", `the teacher did not tell its cards in ${LOOK_MS} ms`);
  } finally {
    origin.lookedAtUntil = 0;
  }
}

/** Looks at a teacher beside the call, unless somebody is doing so already. */
export function lookAside(origin: Origin, asker: Asker): void {
  if (origin.lookedAtUntil <= Date.now()) asker.later(look(origin, asker));
}
