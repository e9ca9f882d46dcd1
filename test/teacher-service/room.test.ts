import { describe, expect, test } from "vitest";
import { teamRules } from "../../teacher-service/config/team-rules.ts";
import { openRoom } from "../../teacher-service/request/room.ts";

const open = (teams: Parameters<typeof teamRules>[0] = {}) =>
  openRoom({ limitBytes: 100, rules: teamRules(teams) });
/** Says which part of whose bytes is waited for. */
const noted = () => {
  const waits: [part: number, team: string][] = [];
  const wait = (part: number, team: string) => {
    waits.push([part, team]);
    return 2.3;
  };
  return { waits, wait };
};

describe("room for bodies", () => {
  test("is refused with a time to come back, and is given back once", () => {
    const room = open();
    const held = room.reserve("a", 70, () => 0);
    expect(() => room.reserve("b", 40, () => 2.3)).toThrow(
      expect.objectContaining({ code: "overloaded", status: 429, retryAfterSeconds: 2.3 }),
    );
    held.release();
    held.release();
    expect(room.heldBytes).toBe(0);
    room.reserve("b", 100, () => 0);
  });

  test("is left for whoever comes new, however much one team asks for", () => {
    const room = open();
    const { wait, waits } = noted();
    const taken = Array.from({ length: 75 }, () => room.reserve("flood", 1, wait));
    expect(() => room.reserve("flood", 1, wait)).toThrow("too little would be left for other teams");
    expect(waits).toEqual([[expect.any(Number), "flood"]]);
    room.reserve("victim", 18, wait);
    // As much less for the one that has much: 75 > 3 * (100 - 75 - 18).
    taken.pop()!.release();
    expect(() => room.reserve("flood", 1, wait)).toThrow("overloaded");
    // With the part given back that it was told to wait for, it gets in.
    const [part] = waits.at(-1)!;
    for (let bytes = Math.ceil(part * 74); bytes > 0; bytes--) taken.pop()!.release();
    room.reserve("flood", 1, wait);
  });

  test("a team has its own limits of bytes and images, or those of *", () => {
    const room = open({ "*": { queueBytes: 20, concurrentImages: 4 }, vision: { queueBytes: 30 } });
    const { wait, waits } = noted();
    const first = room.reserve("other", 16, wait);
    expect(() => room.reserve("other", 8, wait)).toThrow("would pass its limit of 20");
    expect(waits).toEqual([[4 / 16, "other"]]);
    expect(() => room.reserve("other", 21, wait)).toThrow(expect.objectContaining({ code: "too_large" }));
    room.reserve("vision", 30, wait);

    first.addImages(3);
    const second = room.reserve("other", 1, wait);
    expect(() => second.addImages(2)).toThrow("would pass its limit of 4");
    expect(() => second.addImages(5)).toThrow(expect.objectContaining({ code: "too_large" }));
    second.addImages(1);
    first.release();
    second.release();
    room.reserve("other", 1, wait).addImages(4);
  });
});
