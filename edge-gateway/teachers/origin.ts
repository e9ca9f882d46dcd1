import type { Card, Limits } from "@funmatch/wire";
import type { Settings } from "../settings.ts";
import { openTally, type Tally } from "../tally.ts";
import { type Breaker, newBreaker } from "./breaker.ts";

/** A teacher service behind the gateway, and what this process knows of it. */
export interface Origin {
  /** Without a slash at the end. */
  url: string;
  /** Its name in signatures. */
  audience: string;
  /** The models that are asked here; null means all that it has. */
  models: readonly string[] | null;
  breaker: Breaker;
  /** Calls that it has not answered yet. */
  inFlight: Tally;
  /** Its cards when it was last looked at (Unix milliseconds); undefined if it never answered. */
  told: { cards: ReadonlyMap<string, Card>; at: number } | undefined;
  /** The limits that it last told. */
  limits: Limits | undefined;
  /** Until then somebody is looking at it already. */
  lookedAtUntil: number;
}

/** What is known lives as long as the process, whereas settings are read for each call. */
const known = new Map<string, Origin>();

/**
 * The teachers of the settings, in their order.
 *
 * @example
 * const [first] = originsOf(settings);
 */
export function originsOf(settings: Settings): Origin[] {
  const { teacherUrl, teachers = teacherUrl === undefined ? [] : [{ url: teacherUrl }] } = settings;
  return teachers.map(({ url, audience = settings.audience, models = null }) => {
    const name = JSON.stringify([url, audience, models]);
    let origin = known.get(name);
    if (origin === undefined) {
      origin = {
        ...{ url, audience, models, breaker: newBreaker(), inFlight: openTally() },
        ...{ told: undefined, limits: undefined, lookedAtUntil: 0 },
      };
      known.set(name, origin);
    }
    return origin;
  });
}

/** Forgets how fresh its cards are: it is looked at before it is next relied on. */
export function doubt(origin: Origin): void {
  if (origin.told !== undefined) origin.told = { ...origin.told, at: 0 };
}
