import { cardSchema, limitsSchema } from "@funmatch/wire";
import { beforeAll, describe, expect, test } from "vitest";
import { host } from "#host";
import { createApp } from "../../edge-gateway/app.ts";
import { readSettings, SettingsError } from "../../edge-gateway/settings.ts";
import { ask, bearer, GATEWAY, makeKey, problem } from "./client.ts";

let key = "";
beforeAll(async () => {
  ({ key } = await makeKey({ team: "catalog", scopes: ["train"] }));
});

/** The gateway with other settings. */
const set = (changed: Record<string, string>) => host.platform(changed);

describe("what the gateway tells", () => {
  test("cards are the teacher's", async () => {
    const card = cardSchema.parse(await (await ask("/v1/models/prof", { headers: bearer(key) })).json());
    expect(card).toMatchObject({ id: "prof", classes: 3, state: "ready" });
    const none = await ask("/v1/models/nobody", { headers: bearer(key) });
    expect(await problem(none)).toMatchObject({ status: 404, code: "unknown_model" });
  });

  test("reading the card of a model that is unloaded has it loaded", async () => {
    const state = async () =>
      cardSchema.parse(await (await ask("/v1/models/asleep", { headers: bearer(key) })).json()).state;
    expect(await state()).toBe("unloaded");
    await expect.poll(state, { timeout: 10_000 }).toBe("ready");
  });

  test("a name that leads elsewhere is no model's", async () => {
    for (const name of ["%2e%2e", "..%2flimits", "a%20b", "-", "x".repeat(101)]) {
      const request = { headers: bearer(key) };
      expect((await ask(`/v1/models/${name}`, request)).status, name).toBe(404);
      expect((await ask(`/v1/models/${name}/logits`, { ...request, method: "POST", body: "x" })).status).toBe(
        404,
      );
    }
  });

  test("limits are the smallest on the way", async () => {
    const limits = async (changed: Record<string, string>) => {
      const request = new Request(`${GATEWAY}/v1/limits`, { headers: bearer(key) });
      return limitsSchema.parse(await (await createApp().fetch(request, set(changed))).json());
    };
    expect(await limits({})).toEqual({ maxImages: 512, maxBodyBytes: 64_000_000, timeoutMs: 30_000 });
    expect(await limits({ MAX_BODY_BYTES: "1000000" })).toMatchObject({ maxBodyBytes: 1_000_000 });
  });

  test("a path that does not exist is a problem too", async () => {
    expect(await problem(await ask("/v3"))).toMatchObject({ status: 404, code: "not_found" });
  });

  test("the Open Inference Protocol is the teacher's own, which its addresses say", async () => {
    const told = {
      status: 404,
      code: "not_found",
      detail: expect.stringContaining("Open Inference Protocol"),
    };
    for (const path of ["/v2", "/v2/health/ready", "/v2/models/prof"])
      expect(await problem(await ask(path)), path).toMatchObject(told);
    const infer = await ask("/v2/models/prof/infer", { method: "POST", headers: bearer(key), body: "{}" });
    expect(await problem(infer)).toMatchObject(told);
  });
});

describe("a gateway that is not set up", () => {
  test("names each wrong setting", () => {
    const wrong = {
      TEACHER_URL: "teacher:8500",
      TEACHER_SECRET: "short",
      KEY_PEPPER: "p".repeat(16),
      AUDIENCE: "a",
    };
    expect(() => readSettings(wrong)).toThrow(SettingsError);
    expect(() => readSettings(wrong)).toThrow(
      /TEACHER_URL .*TEACHER_SECRET must have at least 16 characters/,
    );
  });

  test("with another secret than the teacher's blames neither the key nor the client", async () => {
    const request = new Request(`${GATEWAY}/v1/models`, { headers: bearer(key) });
    const answer = await createApp().fetch(
      request,
      set({
        TEACHER_SECRET: "not the teacher's secret",
        TEACHERS: JSON.stringify([{ url: host.teacher, models: ["prof"] }]), // one of which nothing is known yet
      }),
    );
    expect(await problem(answer)).toMatchObject({ status: 500, code: "internal" });
  });
});
