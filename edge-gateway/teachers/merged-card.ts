import type { Card } from "@funmatch/wire";

/** What one teacher has of a model, as the merged card tells it: no address, since clients need not know them. */
export interface OriginState {
  state: Card["state"] | "unreachable";
  version: string;
}

/** The card of a model, and of each teacher that has it, where there are several. */
export type MergedCard = Card & { origins?: OriginState[] };

/** A teacher's card of a model, and whether it can be reached now. */
export interface KnownCard {
  card: Card;
  reachable: boolean;
}

/**
 * One card for a model that several teachers have, in the order of the settings. It promises what all keep that answer
 * in the leading version: the smallest batch, the dtypes that all take, the same bits only if all are bit-stable on the
 * same runtime.
 *
 * @param known at least one
 * @example
 * mergeCards([{ card: a, reachable: true }, { card: b, reachable: true }]).maxBatch;   // the smaller one
 */
export function mergeCards(known: readonly KnownCard[]): MergedCard {
  const reachable = known.filter((one) => one.reachable).map(({ card }) => card);
  const leading =
    inState(reachable, "ready") ??
    inState(reachable, "loading") ??
    inState(reachable, "unloaded") ??
    reachable[0] ??
    known[0]?.card;
  if (leading === undefined) throw new RangeError("there is no card to merge");
  if (known.length === 1) return leading;
  const alike = reachable.filter(
    ({ state, version }) => state === leading.state && version === leading.version,
  );
  const progress = alike.flatMap((card) => card.progress ?? []);
  return {
    ...leading,
    input: {
      ...leading.input,
      dtypes: leading.input.dtypes.filter((dtype) =>
        alike.every(({ input }) => input.dtypes.includes(dtype)),
      ),
      resizes: alike.every(({ input }) => input.resizes),
    },
    maxBatch: Math.min(leading.maxBatch, ...alike.map(({ maxBatch }) => maxBatch)),
    ...(progress.length > 0 ? { progress: Math.max(...progress) } : {}),
    bitStable: alike.every(({ bitStable, runtime }) => bitStable && sameRuntime(runtime, leading.runtime)),
    origins: known.map((one) => ({
      state: one.reachable ? one.card.state : "unreachable",
      version: one.card.version,
    })),
  };
}

function inState(cards: readonly Card[], state: Card["state"]): Card | undefined {
  return cards.find((card) => card.state === state);
}

function sameRuntime(a: Card["runtime"], b: Card["runtime"]): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => a[name] === b[name]);
}
