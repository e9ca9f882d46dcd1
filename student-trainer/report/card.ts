import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Card, cardSchema } from "@funmatch/wire";

const nameIn = (run: string) => join(run, "teacher.json");

/** Keeps the card of the teacher that a run learned from, for its report. */
export async function writeCard(run: string, card: Card): Promise<void> {
  await writeFile(nameIn(run), `${JSON.stringify(card, null, 2)}\n`);
}

/** The card that was kept; undefined if there is none. */
export async function readCard(run: string): Promise<Card | undefined> {
  const text = await readFile(nameIn(run), "utf8").catch(() => undefined);
  return text === undefined ? undefined : cardSchema.safeParse(JSON.parse(text)).data;
}
