import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { anyCardSchema, type Card } from "@funmatch/wire";

const nameIn = (run: string) => join(run, "teacher.json");

/** Keeps the cards of the teachers that a run learned from, for its report: one as it is, several in a list. */
export async function writeCards(run: string, cards: Card[]): Promise<void> {
  await writeFile(nameIn(run), `${JSON.stringify(cards.length === 1 ? cards[0] : cards, null, 2)}\n`);
}

/** The cards that were kept; none if there are none. */
export async function readCards(run: string): Promise<Card[]> {
  const text = await readFile(nameIn(run), "utf8").catch(() => "[]");
  return [JSON.parse(text)].flat().flatMap((card) => anyCardSchema.safeParse(card).data ?? []);
}
