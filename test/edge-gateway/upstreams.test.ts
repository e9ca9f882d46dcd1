import { HEADERS, sha256 } from "@funmatch/wire";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { encode, images, makeKey, problem } from "./client.ts";
import { held, type Meddle, refused, several, versionOf } from "./several-teachers.ts";

const TEAM = "upstreams";
let key = "";
let seed = 1000;
afterEach(() => vi.unstubAllGlobals());
beforeAll(async () => {
  ({ key } = await makeKey({ team: TEAM, scopes: ["train", "eval"] }));
});

const train = (n = 2) => encode({ purpose: "train", ...images(n, seed++) });
const evaluation = (n = 2) => encode({ purpose: "eval", ...images(n, seed++) });

/** Takes all of a body and then breaks: a teacher that dies while it reads. */
const dies: Meddle = async ({ path, init }) => {
  if (path.endsWith("/logits")) await new Response(init.body as BodyInit).arrayBuffer();
  throw new TypeError("connection reset");
};

describe("of several teachers", () => {
  test("the one with the fewest calls in flight is asked", async () => {
    const fleet = several("a", "b");
    const [a, b] = [held(), held()];
    fleet.meddle("a", a.meddle);
    fleet.meddle("b", b.meddle);
    const calls = [];
    for (let i = 0; i < 6; i++) {
      calls.push(fleet.post(key, await train()));
      await expect.poll(() => fleet.sent("a") + fleet.sent("b")).toBe(i + 1);
    }
    expect([fleet.sent("a"), fleet.sent("b")]).toEqual([3, 3]);
    a.release();
    await expect.poll(async () => (await fleet.answered(TEAM)).length).toBe(3);
    await sleep(100);
    for (let i = 0; i < 3; i++) calls.push(fleet.post(key, await train()));
    await expect.poll(() => fleet.sent("a")).toBe(6);
    b.release();
    for (const call of calls) expect((await call).status).toBe(200);
  });

  test("another one answers an evaluation when one fails, whatever the failure", async () => {
    let fleet = several();
    const failures: Record<string, () => unknown> = {
      "is away": () => fleet.meddle("a", refused),
      "dies while it reads": () => fleet.meddle("a", dies),
      "is behind a proxy that cannot reach it": () =>
        fleet.meddle("a", async () => new Response("<h1>Bad gateway</h1>", { status: 502 })),
      "breaks off its answer": () =>
        fleet.meddle("a", async ({ path }, pass) => {
          const answer = await pass();
          if (!path.endsWith("/logits")) return answer;
          const whole = new Uint8Array(await answer.arrayBuffer());
          return new Response(whole.subarray(0, whole.length - 1), answer);
        }),
      "fails inside": () => fleet.state("a", { refuse: "internal" }),
      "has too much to do": () => fleet.state("a", { refuse: "overloaded" }),
      "is loading": () => fleet.state("a", { refuse: "loading" }),
    };
    for (const [what, fail] of Object.entries(failures)) {
      fleet = several("a", "b");
      await fail();
      for (let i = 0; i < 3; i++) {
        const answer = await fleet.post(key, await evaluation());
        expect([what, answer.status]).toEqual([what, 200]);
      }
      const byTheOther = (await fleet.answered(TEAM)).filter(({ origin }) => origin === "b");
      expect([what, byTheOther.length]).toEqual([what, 3]);
      vi.unstubAllGlobals();
    }
  }, 30_000);

  test("another one is sent a training call that the first did not take anything of", async () => {
    const fleet = several("a", "b");
    fleet.meddle("a", ({ path }, pass) =>
      path.endsWith("/logits") ? refused({ path, init: {} }, pass) : pass(),
    );
    for (let i = 0; i < 4; i++) {
      const batch = images(4000, seed++); // 768 kB, so that most of it is still on its way
      const answer = await fleet.post(key, await encode({ purpose: "train", ...batch }));
      expect(answer.status).toBe(200);
      expect(answer.headers.get(HEADERS.digest)).toBe(await sha256(batch.data));
    }
    expect((await fleet.answered(TEAM)).map(({ origin }) => origin)).toEqual(["b", "b", "b", "b"]);
  });

  test("a training call that died with its teacher is sent again by the client, under the same id", async () => {
    const fleet = several("a", "b");
    await fleet.state("b", { card: { state: "loading" } }); // so that a is asked first
    fleet.meddle("a", async (request, pass) =>
      request.path.endsWith("/logits") ? dies(request, pass) : pass(),
    );
    const body = await train(4000);
    const headers = { [HEADERS.requestId]: "step-5" };
    const lost = await fleet.post(key, body, { headers });
    expect(lost.headers.get("retry-after")).toBe("2");
    expect(await problem(lost)).toMatchObject({ status: 502, code: "upstream_unreachable" });
    fleet.meddle("a", refused);
    await fleet.state("b", { card: {} });
    await sleep(1100); // who was loading is looked at again after a second
    const answer = await fleet.post(key, body, { headers });
    expect(answer.status).toBe(200);
    const [call, ...others] = await fleet.answered(TEAM);
    expect(others).toEqual([]);
    expect(call).toMatchObject({ origin: "b", identity: { requestId: "step-5" } });
  });

  test("those of another version than the pin are not asked; 409 only if none has it", async () => {
    const fleet = several("a", "b");
    await fleet.state("b", { generation: "2" });
    const pinned = async (generation: string, body: Uint8Array<ArrayBuffer>) =>
      fleet.post(key, body, { headers: { [HEADERS.version]: await versionOf(generation) } });
    for (let i = 0; i < 3; i++) {
      const trained = await pinned("2", await train());
      expect(trained.headers.get(HEADERS.answeredVersion)).toBe(await versionOf("2"));
      const evaluated = await pinned("1", await evaluation());
      expect(evaluated.headers.get(HEADERS.answeredVersion)).toBe(await versionOf("1"));
    }
    const none = await pinned("3", await train());
    expect(await problem(none)).toMatchObject({ status: 409, code: "version_mismatch" });
    expect([fleet.sent("a"), fleet.sent("b")]).toEqual([3, 3]);

    fleet.meddle("b", refused);
    for (const body of [await train(), await evaluation(), await train()]) {
      // b had it, and b may come back: a 409 would end the run.
      expect(await problem(await pinned("2", body))).toMatchObject({
        status: 502,
        code: "upstream_unreachable",
      });
    }
    expect((await pinned("1", await train())).status).toBe(200);
  });

  test("one that has just changed its version does not end a run that another one can teach", async () => {
    const fleet = several("a", "b");
    const pin = { headers: { [HEADERS.version]: await versionOf("1") } };
    expect((await fleet.post(key, await train(), pin)).status).toBe(200);
    await fleet.state("a", { generation: "2" });
    const statuses = new Set<number>();
    for (let i = 0; i < 8; i++) {
      const body = await train(4000);
      let answer = await fleet.post(key, body, pin);
      statuses.add(answer.status);
      if (answer.status !== 200) answer = await fleet.post(key, body, pin);
      expect(answer.status).toBe(200);
      expect(answer.headers.get(HEADERS.answeredVersion)).toBe(await versionOf("1"));
    }
    statuses.delete(200);
    expect([...statuses].every((status) => status === 502)).toBe(true);
    expect((await fleet.answered(TEAM)).slice(1).every(({ origin }) => origin === "b")).toBe(true);
  });

  test("who pins nothing is answered in the version of the first that is ready", async () => {
    const fleet = several("a", "b", "c");
    await fleet.state("a", { card: { state: "loading", version: "" } });
    await fleet.state("b", { generation: "2" });
    for (let i = 0; i < 3; i++) {
      for (const body of [await train(), await evaluation()]) {
        const answer = await fleet.post(key, body);
        expect(answer.headers.get(HEADERS.answeredVersion)).toBe(await versionOf("2"));
      }
    }
  });

  test("one that is ready is preferred to one that is loading; if all are, their 503 is passed on", async () => {
    const fleet = several("a", "b");
    for (let i = 0; i < 4; i++) {
      for (const body of [await train(), await evaluation()]) {
        const answer = await fleet.post(key, body, { model: "loading" });
        expect(answer.headers.get("retry-after")).toBe("7");
        expect(await problem(answer)).toMatchObject({ status: 503, code: "loading" });
      }
    }
    vi.unstubAllGlobals();
    const mixed = several("a", "b");
    await mixed.state("b", { card: { state: "loading", version: "" } });
    for (let i = 0; i < 4; i++) expect((await mixed.post(key, await train())).status).toBe(200);
    expect([mixed.sent("a"), mixed.sent("b")]).toEqual([4, 0]);
  });

  test("one that is gone with its connections open is not waited for", async () => {
    const fleet = several("a", "b");
    await fleet.state("b", { card: { state: "loading" } }); // so that a is asked first
    let gone = false;
    fleet.meddle("a", ({ path, init }, pass) => {
      gone ||= path.endsWith("/logits");
      if (!gone) return pass();
      return path.endsWith("/logits") ? new Promise(() => {}) : refused({ path, init }, pass);
    });
    const calls = [fleet.post(key, await evaluation()), fleet.post(key, await train(4000))];
    await expect.poll(() => fleet.sent("a")).toBe(2);
    await fleet.state("b", { card: {} });
    const [evaluated, trained] = await Promise.all(calls);
    expect(evaluated?.status).toBe(200);
    expect([200, 502]).toContain(trained?.status);
  }, 30_000);

  test("each gets what is left of the time", async () => {
    const fleet = several("a", "b");
    fleet.meddle("a", async ({ path }, pass) => {
      if (!path.endsWith("/logits")) return pass();
      await sleep(400);
      throw new TypeError("connection reset");
    });
    fleet.meddle("b", ({ path }, pass) => (path === "/v1/models" ? sleep(200).then(pass) : pass()));
    const headers = { [HEADERS.timeout]: "9000" };
    expect((await fleet.post(key, await evaluation(), { headers })).status).toBe(200);
    const [call] = await fleet.answered(TEAM);
    expect(call?.origin).toBe("b");
    expect(Number(call?.headers[HEADERS.timeout])).toBeLessThanOrEqual(8600);
    expect(Number(call?.headers[HEADERS.timeout])).toBeGreaterThan(1000);
  });
});

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
