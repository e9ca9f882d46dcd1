import { describe, expect, test } from "vitest";
import { openTurns } from "../../edge-gateway/call/turns.ts";

const never = new AbortController().signal;

/** Turns of a team until no more are free. */
async function takeAll(turns: ReturnType<typeof openTurns>, team: string): Promise<(() => void)[]> {
  const taken: (() => void)[] = [];
  for (;;) {
    const full = new AbortController();
    setTimeout(() => full.abort(), 100);
    const giveBack = await turns.take(team, full.signal);
    if (giveBack === undefined) return taken;
    taken.push(giveBack);
  }
}

describe("turns to push to a teacher", () => {
  test("are few; a team whose uploads are stuck leaves some to the others", async () => {
    const turns = openTurns();
    const stuck = await takeAll(turns, "stuck");
    expect(stuck).toHaveLength(16);
    const others = await takeAll(turns, "other");
    expect(others).toHaveLength(8);
  });

  test("go to who waits, once one is given back", async () => {
    const turns = openTurns();
    const [first] = await takeAll(turns, "a");
    const waiting = turns.take("a", never);
    first?.();
    expect(await waiting).toBeTypeOf("function");
  });
});
