import { decodeAnswer, encodeAnswer, HEADERS, sha256 } from "@funmatch/wire";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { host } from "#host";
import { type EntryName, entryKey } from "../../edge-gateway/evaluation/entry.ts";
import { encode, images, makeKey, problem } from "./client.ts";
import { type Meddle, type Several, several } from "./several-teachers.ts";

const TEAM = "together";
let key = "";
let seed = 5000;
afterEach(() => vi.unstubAllGlobals());
beforeAll(async () => {
  ({ key } = await makeKey({ team: TEAM, scopes: ["eval"] }));
});

/** A teacher that answers no logits before it is let. */
function heldTeacher(): { fleet: Several; release(): void } {
  const fleet = several("a");
  const gate = Promise.withResolvers<void>();
  fleet.meddle("a", async ({ path }, pass) => {
    if (path.endsWith("/logits")) await gate.promise;
    return pass();
  });
  return { fleet, release: gate.resolve };
}

const cacheUse = (answer: Response) => answer.headers.get(HEADERS.cache);
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function nameOf(batch: ReturnType<typeof images>, team = TEAM): Promise<EntryName> {
  return {
    ...{ team, shared: false, model: "prof" },
    version: await sha256(new TextEncoder().encode("prof 1")),
    head: { dtype: "uint8", shape: batch.shape as [number, number, number, number] },
    digest: await sha256(batch.data),
  };
}

describe("those who ask the same at once", () => {
  test("make one call to the teacher, and get the same bytes", async () => {
    const { fleet, release } = heldTeacher();
    const body = await encode({ purpose: "eval", ...images(4, seed++) });
    const calls = Array.from({ length: 8 }, () => fleet.post(key, body));
    await expect.poll(() => fleet.sent("a")).toBe(1);
    await sleep(200);
    release();
    const answers = await Promise.all(calls);
    expect(answers.map(cacheUse).toSorted()).toEqual([...Array(7).fill("hit"), "miss"]);
    const [first, ...others] = await Promise.all(answers.map((answer) => answer.arrayBuffer()));
    for (const other of others) expect(other).toEqual(first);
    // Nor does one who comes just after, before the store has it everywhere.
    expect(cacheUse(await fleet.post(key, body))).toBe("hit");
    expect(fleet.sent("a")).toBe(1);
  });

  test("are refused together", async () => {
    const { fleet, release } = heldTeacher();
    await fleet.state("a", { refuse: "overloaded" });
    const body = await encode({ purpose: "eval", ...images(4, seed++) });
    const calls = Array.from({ length: 4 }, () => fleet.post(key, body));
    await expect.poll(() => fleet.sent("a")).toBe(1);
    await sleep(200);
    release();
    for (const answer of await Promise.all(calls)) {
      expect(answer.headers.get("retry-after")).toBe("9");
      expect(await problem(answer)).toMatchObject({ status: 429, code: "overloaded" });
    }
    expect(fleet.sent("a")).toBe(1);
    await fleet.state("a", { refuse: null });
    expect((await fleet.post(key, body)).status).toBe(200); // a refusal is not kept
  });

  test("do not share the haste of the first: when its time is up, the next one asks", async () => {
    const { fleet, release } = heldTeacher();
    const body = await encode({ purpose: "eval", ...images(4, seed++) });
    const hasty = fleet.post(key, body, { headers: { [HEADERS.timeout]: "400" } });
    await expect.poll(() => fleet.sent("a")).toBe(1);
    const patient = fleet.post(key, body);
    expect((await hasty).status).toBe(504);
    await expect.poll(() => fleet.sent("a")).toBe(2);
    release();
    expect(cacheUse(await patient)).toBe("miss");
  });

  test("do not wait for one that died: it is replaced when its lease is over", async () => {
    const { fleet, release } = heldTeacher();
    release();
    const batch = images(4, seed++);
    const flight = host.platform().flights(entryKey(await nameOf(batch)));
    expect(await flight.join(1000)).toMatchObject({ kind: "lead" }); // and nothing more is heard of it
    const began = Date.now();
    const body = await encode({ purpose: "eval", ...batch });
    const answers = await Promise.all([fleet.post(key, body), fleet.post(key, body)]);
    expect(Date.now() - began).toBeGreaterThan(2000);
    expect(answers.map(cacheUse).toSorted()).toEqual(["hit", "miss"]);
    expect(fleet.sent("a")).toBe(1);
  });

  test("wait no longer than their own time", async () => {
    const { fleet, release } = heldTeacher();
    const body = await encode({ purpose: "eval", ...images(4, seed++) });
    const first = fleet.post(key, body);
    await expect.poll(() => fleet.sent("a")).toBe(1);
    const second = await fleet.post(key, body, { headers: { [HEADERS.timeout]: "300" } });
    expect(await problem(second)).toMatchObject({ status: 504, code: "deadline_exceeded" });
    release();
    expect((await first).status).toBe(200);
  });
});

describe("a stored answer", () => {
  const untilHit = async (fleet: Several, who: string, body: Uint8Array<ArrayBuffer>, changed = {}) => {
    const request = {
      ...{ key: who, method: "POST", body },
      headers: { "content-type": "application/vnd.msgpack", "content-length": String(body.length) },
    };
    const answer = await fleet.fetch("/v1/models/prof/logits", request, changed);
    return { status: answer.status, use: cacheUse(answer) };
  };

  test("is the team's own, unless the model is shared; who may not ask the model gets 403, never a hit", async () => {
    const fleet = several("a");
    const shared = { SHARED_MODELS: '["prof"]' };
    const [neighbour, stranger] = await Promise.all([
      makeKey({ team: "together-too", scopes: ["eval"] }),
      makeKey({ team: "together-not", scopes: ["eval"], models: ["other"] }),
    ]);
    const own = await encode({ purpose: "eval", ...images(2, seed++) });
    expect(await untilHit(fleet, key, own)).toEqual({ status: 200, use: "miss" });
    expect(await untilHit(fleet, neighbour.key, own)).toEqual({ status: 200, use: "miss" });
    expect(await untilHit(fleet, stranger.key, own)).toEqual({ status: 403, use: null });
    const common = await encode({ purpose: "eval", ...images(2, seed++) });
    expect(await untilHit(fleet, key, common, shared)).toEqual({ status: 200, use: "miss" });
    expect(await untilHit(fleet, neighbour.key, common, shared)).toEqual({ status: 200, use: "hit" });
    expect(await untilHit(fleet, stranger.key, common, shared)).toEqual({ status: 403, use: null });
    expect(fleet.sent("a")).toBe(3);
  });

  test("is never one that does not fit: another version, other images, fewer images, other models, other classes, half of it", async () => {
    const wrong: Record<string, (right: ReturnType<typeof decodeAnswer>) => Uint8Array<ArrayBuffer>> = {
      version: (right) => encodeAnswer({ ...right, version: `sha256:${"0".repeat(64)}` }),
      digest: (right) => encodeAnswer({ ...right, digest: `sha256:${"0".repeat(64)}` }),
      model: (right) => encodeAnswer({ ...right, model: "other" }),
      shape: (right) =>
        encodeAnswer({ ...right, logits: { ...right.logits, shape: [1, 6], data: right.logits.data } }),
      classes: (right) =>
        encodeAnswer({ ...right, logits: { dtype: "float32", shape: [2, 2], data: new Uint8Array(16) } }),
      half: (right) => encodeAnswer(right).slice(0, 200),
    };
    for (const [what, meddle] of Object.entries(wrong)) {
      const fleet = several("a");
      const lie: Meddle = async ({ path }, pass) => {
        const answer = await pass();
        if (!path.endsWith("/logits")) return answer;
        const bytes = meddle(decodeAnswer(new Uint8Array(await answer.arrayBuffer())));
        return new Response(bytes, { headers: answer.headers });
      };
      fleet.meddle("a", lie);
      const body = await encode({ purpose: "eval", ...images(2, seed++) });
      const answer = await fleet.post(key, body);
      expect([what, answer.status]).toEqual([what, 502]);
      fleet.meddle("a", undefined);
      expect([what, cacheUse(await fleet.post(key, body))]).toEqual([what, "miss"]);
      vi.unstubAllGlobals();
    }
  });

  test("is never one with a logit that is no number; the client sees it, and the next one asks anew", async () => {
    const fleet = several("a");
    fleet.meddle("a", async ({ path }, pass) => {
      const answer = await pass();
      if (!path.endsWith("/logits")) return answer;
      const bytes = new Uint8Array(await answer.arrayBuffer());
      bytes.set([0, 0, 0xc0, 0x7f], bytes.length - 4);
      return new Response(bytes, { headers: answer.headers });
    });
    const body = await encode({ purpose: "eval", ...images(2, seed++) });
    for (const _ of [1, 2]) expect(cacheUse(await fleet.post(key, body))).toBe("bypass");
    fleet.meddle("a", undefined);
    expect(cacheUse(await fleet.post(key, body))).toBe("miss");
  });

  test("that was spoilt in the store is not given out", async () => {
    const logged = vi.spyOn(console, "error").mockReturnValue();
    const fleet = several("a");
    const batch = images(2, seed++);
    await host.platform().answers.put(entryKey(await nameOf(batch)), new Uint8Array([1, 2, 3]));
    const answer = await fleet.post(key, await encode({ purpose: "eval", ...batch }));
    expect(cacheUse(answer)).toBe("miss");
    expect(decodeAnswer(new Uint8Array(await answer.arrayBuffer())).logits.shape).toEqual([2, 3]);
    expect(logged).toHaveBeenCalledWith(expect.stringContaining("does not fit"));
    logged.mockRestore();
  });

  test("is never replaced", async () => {
    const { answers } = host.platform();
    const name = `together/${crypto.randomUUID()}`;
    await answers.put(name, new Uint8Array([1]));
    await answers.put(name, new Uint8Array([2]));
    expect(await answers.get(name)).toEqual(new Uint8Array([1]));
  });
});
