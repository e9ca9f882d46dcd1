import { type Card, WireError } from "@funmatch/wire";
import { standing } from "./breaker.ts";
import { look, lookAside } from "./look.ts";
import { type Origin, originsOf } from "./origin.ts";
import type { Asker } from "./teacher.ts";

/** How old a card may be that is relied on. */
const FRESH_MS = 30_000;
/** From this age on it is read again beside the calls, so that they need not wait for it. */
const DUE_MS = 10_000;
/** The same for a model that is still loading. */
const DUE_WHILE_LOADING_MS = 1000;

/** Who could answer: which model, of which version, and which teachers have failed in this call already. */
export interface Wanted {
  model: string;
  pin: string | undefined;
  tried: ReadonlySet<Origin>;
}

/**
 * The teacher to ask next: of those that have the model in the wanted version (without a pin: the leading one), one
 * that is ready rather than one that is loading, and then the one with the fewest calls in flight.
 *
 * @throws WireError `version_mismatch` if all are known to have another version, `upstream_unreachable` if one that is
 * away may have it, `unknown_model` or `internal`
 * @example
 * const origin = await chooseOrigin(asker, { model: "prof", pin, tried: new Set() });
 */
export async function chooseOrigin(asker: Asker, { model, pin, tried }: Wanted): Promise<Origin> {
  const all = originsFor(asker, model);
  const left = all.filter((origin) => !tried.has(origin));
  const [lone] = all;
  // Who is the only one is asked without a look: it says best itself what is wrong.
  const asItIs = all.length === 1 && lone !== undefined && !tried.has(lone);
  if (asItIs && isClosed(lone)) return lone;

  const suiting = () =>
    asItIs ? left.filter(isClosed) : left.filter(suits(model, pin ?? leadingCard(left, model)?.version));
  const enough = () => suiting().length > 0 && (pin !== undefined || asItIs || isLeadSettled(left, model));
  const wrong = await lookWhereDue(left, asker, model, enough);
  const best = leastBusy(suiting(), model);
  if (best !== undefined) return best;
  throw wrong.find(({ code }) => code === "internal") ?? whyNone(left, model, pin);
}

/** The teachers that are asked for a model, as the settings say. */
export function originsFor(asker: Asker, model: string): Origin[] {
  return originsOf(asker.settings).filter(({ models }) => models === null || models.includes(model));
}

/**
 * Reads the cards that are too old to be relied on, and waits until there are enough; those that are only getting
 * old are read beside the call.
 *
 * @param enough whether the rest need not be waited for
 * @returns what was found wrong so far
 */
export async function lookWhereDue(
  origins: readonly Origin[],
  asker: Asker,
  model: string,
  enough: () => boolean,
): Promise<WireError[]> {
  const wrong: WireError[] = [];
  if (enough()) {
    for (const origin of origins) if (isDue(origin, model)) lookAside(origin, asker);
    return wrong;
  }
  const reached = Promise.withResolvers<void>();
  const looks = origins
    .filter((origin) => standing(origin.breaker, Date.now()) !== "open")
    .filter((origin) => !isClosed(origin) || !isFresh(origin) || lacks(origin, model))
    .map(async (origin) => {
      const found = await look(origin, asker);
      if (found !== undefined) wrong.push(found);
      if (enough()) reached.resolve();
    });
  const whole = Promise.all(looks);
  await Promise.race([whole, reached.promise]);
  asker.later(whole);
  return wrong;
}

/**
 * The card that stands for a model: that of the first teacher that has it ready. Its version is the one in which those
 * are answered who pin none.
 */
export function leadingCard(origins: readonly Origin[], model: string): Card | undefined {
  return origins.flatMap((origin) => usableCard(origin, model) ?? []).find(({ state }) => state === "ready");
}

/** Whether the leading card is known: no teacher before it in the settings may turn out to be ready. */
export function isLeadSettled(origins: readonly Origin[], model: string): boolean {
  const ready = (origin: Origin) => usableCard(origin, model)?.state === "ready";
  const first = origins.find((origin) => ready(origin) || (isClosed(origin) && !isFresh(origin)));
  return first !== undefined && ready(first);
}

function isClosed({ breaker }: Origin): boolean {
  return standing(breaker, Date.now()) === "closed";
}

/** Whether what a teacher told last may be relied on, and it can be reached. */
export function isUsable(origin: Origin): boolean {
  return isClosed(origin) && isFresh(origin);
}

function usableCard(origin: Origin, model: string): Card | undefined {
  return isUsable(origin) ? origin.told?.cards.get(model) : undefined;
}

function isFresh({ told }: Origin): boolean {
  return told !== undefined && Date.now() - told.at <= FRESH_MS;
}

/** A model that is not on the list may have come since. */
function lacks({ told }: Origin, model: string): boolean {
  return (
    told !== undefined &&
    told.cards.get(model)?.state !== "ready" &&
    Date.now() - told.at > DUE_WHILE_LOADING_MS
  );
}

function isDue(origin: Origin, model: string): boolean {
  const state = standing(origin.breaker, Date.now());
  if (state !== "closed") return state === "half-open";
  return origin.told === undefined || Date.now() - origin.told.at > DUE_MS || lacks(origin, model);
}

/** Whether a teacher may be asked: that of another version, or one that is away or could not load it, may not. */
function suits(model: string, version: string | undefined): (origin: Origin) => boolean {
  return (origin) => {
    const card = usableCard(origin, model);
    if (card === undefined || card.state === "failed") return false;
    return version === undefined || card.state !== "ready" || card.version === version;
  };
}

function leastBusy(origins: readonly Origin[], model: string): Origin | undefined {
  const ranked = origins.map((origin) => ({
    origin,
    /** Unloaded counts as loading: to be asked is what loads it. */
    loading: ["loading", "unloaded"].includes(usableCard(origin, model)?.state ?? ""),
    inFlight: origin.inFlight.sum(),
    // Processes that count for themselves should not all begin with the same one.
    lot: Math.random(),
  }));
  ranked.sort((a, b) => Number(a.loading) - Number(b.loading) || a.inFlight - b.inFlight || a.lot - b.lot);
  return ranked[0]?.origin;
}

function whyNone(left: readonly Origin[], model: string, pin: string | undefined): WireError {
  const now = Date.now();
  const away = left.filter((origin) => {
    const version = origin.told?.cards.get(model)?.version;
    const mayHaveIt = pin === undefined || !version || version === pin;
    return mayHaveIt && !isUsable(origin);
  });
  if (away.length > 0) {
    const soonest = Math.min(...away.map(({ breaker }) => breaker.openUntil));
    const retryAfterSeconds = Math.max(1, (soonest - now) / 1000);
    return new WireError("upstream_unreachable", "no teacher that has this model can be reached", {
      retryAfterSeconds,
    });
  }
  const cards = left.flatMap((origin) => usableCard(origin, model) ?? []);
  const [other] = cards.filter(({ state }) => state !== "failed");
  if (other !== undefined) {
    const detail = `no teacher has the version ${pin} of ${model}, there is ${other.version}`;
    return new WireError("version_mismatch", detail, { extra: { version: other.version } });
  }
  if (cards.length > 0) return new WireError("internal", "the teacher could not load the model");
  return new WireError("unknown_model", "the teacher has no such model");
}
