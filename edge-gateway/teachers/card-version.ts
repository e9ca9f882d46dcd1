import { isLeadSettled, leadingCard, lookWhereDue, originsFor } from "./choose.ts";
import { doubt } from "./origin.ts";
import type { Asker } from "./teacher.ts";

/**
 * The version on a model's card, at most 30 s old: what an evaluation call without a pin is looked up under.
 *
 * @returns undefined while no teacher has it ready: then whoever is asked says why not
 * @example
 * const version = await cardVersion(asker, "prof");
 */
export async function cardVersion(asker: Asker, model: string): Promise<string | undefined> {
  const origins = originsFor(asker, model);
  const wrong = await lookWhereDue(origins, asker, model, () => isLeadSettled(origins, model));
  const version = leadingCard(origins, model)?.version;
  if (version === undefined && wrong.length === origins.length && wrong[0] !== undefined) throw wrong[0];
  return version;
}

/** Forgets how fresh the cards are, when a teacher no longer answers to its version. */
export function forgetVersion(asker: Asker, model: string): void {
  for (const origin of originsFor(asker, model)) doubt(origin);
}
