import { HEADERS, sha256 } from "@funmatch/wire";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { encode, images, makeKey, post, problem, seen } from "./client.ts";
import { several } from "./several-teachers.ts";

let key = "";
afterEach(() => vi.unstubAllGlobals());
beforeAll(async () => {
  ({ key } = await makeKey({ team: "eval", scopes: ["eval"] }));
});

/** Sends it until the store, which is written after the answer, has it. */
async function untilHit(body: Uint8Array<ArrayBuffer>): Promise<Response> {
  for (let tries = 0; tries < 20; tries++) {
    const answer = await post(key, body);
    if (answer.headers.get(HEADERS.cache) === "hit") return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("never a hit");
}

describe("an evaluation call", () => {
  test("is answered by the teacher once, and then from the store with the same bytes", async () => {
    const batch = images(8, 1);
    const body = await encode({ purpose: "eval", ...batch });
    const miss = await post(key, body);
    expect(miss.headers.get(HEADERS.cache)).toBe("miss");
    const asked = (await seen("eval")).length;
    const hit = await untilHit(body);
    for (const name of [HEADERS.digest, HEADERS.answeredVersion, "content-type"]) {
      expect(hit.headers.get(name), name).toBe(miss.headers.get(name));
    }
    expect(hit.headers.get(HEADERS.digest)).toBe(await sha256(batch.data));
    expect(await hit.arrayBuffer()).toEqual(await miss.arrayBuffer());
    expect((await seen("eval")).length).toBe(asked);
  });

  test("needs no digest: the gateway computes it", async () => {
    const batch = images(3, 2);
    await post(key, await encode({ purpose: "eval", ...batch, digest: null }));
    const hit = await untilHit(await encode({ purpose: "eval", ...batch }));
    expect(hit.headers.get(HEADERS.digest)).toBe(await sha256(batch.data));
  });

  test("that claims another digest than its images have poisons nothing", async () => {
    const victim = images(3, 3);
    const body = await encode({ purpose: "eval", ...images(3, 4), digest: await sha256(victim.data) });
    expect(await problem(await post(key, body))).toMatchObject({ status: 422, code: "digest_mismatch" });
    expect((await post(key, await encode({ purpose: "eval", ...victim }))).headers.get(HEADERS.cache)).toBe(
      "miss",
    );
  });

  test("is another call in another shape, dtype, model or team", async () => {
    const { data } = images(4, 5);
    await untilHit(await encode({ purpose: "eval", shape: [4, 8, 8, 3], data }));
    const reshaped = await encode({ purpose: "eval", shape: [2, 16, 8, 3], data });
    expect((await post(key, reshaped)).headers.get(HEADERS.cache)).toBe("miss");
    const floats = await encode({ purpose: "eval", shape: [1, 8, 8, 3], data, dtype: "float32" });
    expect((await post(key, floats)).headers.get(HEADERS.cache)).toBe("miss");
    const same = await encode({ purpose: "eval", shape: [4, 8, 8, 3], data });
    expect((await post(key, same, { model: "other" })).headers.get(HEADERS.cache)).toBe("miss");
    const neighbour = await makeKey({ team: "eval-neighbour", scopes: ["eval"] });
    expect((await post(neighbour.key, same)).headers.get(HEADERS.cache)).toBe("miss");
  });

  test("is neither looked up nor stored where the client says no-store", async () => {
    const body = await encode({ purpose: "eval", ...images(2, 6) });
    const headers = { "cache-control": "no-cache, No-Store" };
    for (const _ of [1, 2])
      expect((await post(key, body, { headers })).headers.get(HEADERS.cache)).toBe("bypass");
    expect((await post(key, body)).headers.get(HEADERS.cache)).toBe("miss");
    await untilHit(body);
    expect((await post(key, body, { headers })).headers.get(HEADERS.cache)).toBe("bypass");
  });

  test("of more than 8 MiB is streamed through", async () => {
    const shape = [11, 512, 512, 3];
    const data = new Uint8Array(shape.reduce((a, b) => a * b)).fill(7);
    const answer = await post(key, await encode({ purpose: "eval", shape, data }));
    expect(answer.headers.get(HEADERS.cache)).toBe("bypass");
    expect(answer.headers.get(HEADERS.digest)).toBe(await sha256(data));
  });

  test("that the teacher answers for other images is answered with 502 and not stored", async () => {
    const body = await encode({ purpose: "eval", ...images(1, 7) });
    for (const _ of [1, 2]) {
      expect(await problem(await post(key, body, { model: "liar" }))).toMatchObject({
        status: 502,
        code: "digest_mismatch",
      });
    }
  });

  test("hands on the teacher's refusals", async () => {
    const body = await encode({ purpose: "eval", ...images(1, 8) });
    expect(await problem(await post(key, body, { model: "nobody" }))).toEqual({
      status: 404,
      code: "unknown_model",
      detail: "the teacher has no such model", // and not which ones it has
    });
    const busy = await post(key, body, { model: "busy" });
    expect(busy.headers.get("retry-after")).toBe("3");
    expect(await problem(busy)).toMatchObject({ status: 429, code: "overloaded" });
  });

  test("is looked up under the teacher's version: pinned, or else that of the card", async () => {
    const fleet = several("a"); // its own, since its version changes
    const send = async (body: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) => {
      const answer = await fleet.post(key, body, { headers });
      return { answer, use: answer.headers.get(HEADERS.cache) };
    };
    const body = await encode({ purpose: "eval", ...images(1, 9) });
    const { answer } = await send(body);
    const first = answer.headers.get(HEADERS.answeredVersion) ?? "";
    await expect.poll(async () => (await send(body)).use).toBe("hit");
    expect((await send(body, { [HEADERS.version]: first })).use).toBe("hit");
    const [unpinned] = await fleet.answered("eval");
    expect(unpinned?.headers[HEADERS.version]).toBe(first); // the card's version went along as a pin

    await fleet.state("a", { generation: "2" });
    // Still believed to be the version of the card: a stored answer is right for up to 30 s.
    expect((await send(body)).use).toBe("hit");
    // Asked for something new, the teacher says that it has changed; the client, who pinned nothing, never hears of it.
    const fresh = await send(await encode({ purpose: "eval", ...images(1, 10) }));
    expect(fresh.answer.status).toBe(200);
    expect(fresh.answer.headers.get(HEADERS.answeredVersion)).not.toBe(first);
    expect((await send(body)).use).toBe("miss");
    const pinned = await send(await encode({ purpose: "eval", ...images(1, 11) }), {
      [HEADERS.version]: first,
    });
    expect(await problem(pinned.answer)).toMatchObject({ status: 409, code: "version_mismatch" });
  });
});
