import { HEADERS } from "@funmatch/wire";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { host } from "#host";
import { createApp } from "../../edge-gateway/app.ts";
import { encode, images, logitsRequest, makeKey, problem } from "./client.ts";
import { held, refused, several } from "./several-teachers.ts";

let key = "";
let seed = 1;
afterEach(() => vi.unstubAllGlobals());
beforeAll(async () => {
  ({ key } = await makeKey({ team: "breaker", scopes: ["train"] }));
});

const train = (n = 2) => encode({ purpose: "train", ...images(n, seed++) });

describe("a teacher that fails again and again", () => {
  test("is left alone, looked at, and used again when it is back", async () => {
    const fleet = several("a");
    fleet.meddle("a", refused);
    for (let i = 0; i < 3; i++) expect((await fleet.post(key, await train())).status).toBe(502);
    await expect
      .poll(async () => {
        const before = fleet.sent("a");
        await fleet.post(key, await train());
        return fleet.sent("a") - before;
      })
      .toBe(0);
    const whole = fleet.sent("a", /./);
    const spared = await fleet.post(key, await train());
    expect(Number(spared.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect(await problem(spared)).toMatchObject({ status: 502, code: "upstream_unreachable" });
    expect(fleet.sent("a", /./)).toBe(whole);

    fleet.meddle("a", undefined);
    const body = await train();
    await expect
      .poll(async () => (await fleet.post(key, body)).status, { timeout: 10_000, interval: 200 })
      .toBe(200);
    // The probe was a look at its cards, not the call of a client.
    expect(fleet.sent("a", /models$/)).toBeGreaterThan(0);
  });

  test("is not made out by clients: their haste, and bodies that they break off, count for nothing", async () => {
    const fleet = several("a");
    const slow = held();
    fleet.meddle("a", slow.meddle);
    const body = await train(4000);
    for (let i = 0; i < 4; i++) {
      const hasty = await fleet.post(key, body, { headers: { [HEADERS.timeout]: "50" } });
      expect(hasty.status).toBe(504);
    }
    slow.release();
    fleet.meddle("a", undefined);
    for (let i = 0; i < 4; i++) {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      const request = logitsRequest(key, readable, { length: body.length });
      const answer = createApp().fetch(
        request,
        host.platform({ TEACHERS: JSON.stringify([{ url: fleet.url("a") }]) }),
      );
      const writer = writable.getWriter();
      await writer.write(body.slice(0, 100_000));
      writer.abort(new Error("gone")).catch(() => {});
      expect((await answer).status).toBe(400);
    }
    expect((await fleet.post(key, body)).status).toBe(200);
  });

  test("with one model is still asked for the others: what is answered closes nobody off who has no substitute", async () => {
    const fleet = several("a");
    for (let i = 0; i < 5; i++) {
      const failed = await fleet.post(key, await train(), { model: "failed" });
      expect(await problem(failed)).toMatchObject({ status: 500, code: "internal" });
    }
    expect((await fleet.post(key, await train())).status).toBe(200);
  });

  test("that fails inside is passed over while another one does not", async () => {
    const fleet = several("a", "b");
    await fleet.state("a", { refuse: "internal" });
    let failed = 0;
    const began = Date.now();
    for (let i = 0; i < 12; i++) {
      const answer = await fleet.post(key, await train(4000));
      if (answer.status !== 200) failed++;
    }
    // A fast failure has few calls in flight and would draw every call. Once it is known it is tried again after 1, 2, 4 s.
    const tries = Math.floor((Date.now() - began) / 1000);
    expect(failed).toBeLessThanOrEqual(3 + tries);
    expect(fleet.sent("a")).toBeLessThanOrEqual(5 + tries);
  });
});
