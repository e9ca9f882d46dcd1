import type { Card, Limits, WireError } from "@funmatch/wire";
import { openTurns, type Turns } from "../call/turns.ts";
import type { Settings } from "../settings.ts";
import { openTally, type Tally } from "../tally.ts";
import { type Breaker, newBreaker } from "./breaker.ts";
import { lately } from "./lately.ts";

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
  /** Who may push a piece of a body to it. */
  turns: Turns;
  /** Its cards when it was last looked at (Unix milliseconds); undefined if it never answered. */
  told: { cards: ReadonlyMap<string, Card>; at: number } | undefined;
  /** The limits that it last told. */
  limits: Limits | undefined;
  /** When a model of it that was unloaded was last asked for (Unix milliseconds). */
  wokenAt: Map<string, number>;
  /** How it is asked for what anybody may want to know. */
  asked: Asked;
  /** Until then somebody is looking at it already. */
  lookedAtUntil: number;
}

/** What anybody with a key may ask for, or even anybody: however often, a teacher is asked once in a while. */
interface Asked {
  /** Its cards; what is wrong with it, or undefined. */
  cards: ReturnType<typeof lately<WireError | undefined>>;
  limits: ReturnType<typeof lately<Limits>>;
  readiness: ReturnType<typeof lately<void>>;
}

const ANEW_MS = 1000;
/** Limits are a teacher's config. */
const LIMITS_ANEW_MS = 10_000;
/** One such question has so long. */
export const QUESTION_MS = 5000;

const newAsked = (): Asked => ({
  cards: lately(ANEW_MS, QUESTION_MS),
  limits: lately(LIMITS_ANEW_MS, QUESTION_MS),
  readiness: lately(ANEW_MS, QUESTION_MS),
});

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
        ...{ url, audience, models, breaker: newBreaker(), inFlight: openTally(), turns: openTurns() },
        ...{ told: undefined, limits: undefined, lookedAtUntil: 0, wokenAt: new Map(), asked: newAsked() },
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
