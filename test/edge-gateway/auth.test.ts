import { IDENTITY_HEADER } from "@funmatch/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { host } from "#host";
import { hashKey } from "../../edge-gateway/identity/auth.ts";
import { ADMIN, ask, bearer, encode, images, makeKey, post, problem, seen } from "./client.ts";

describe("a key", () => {
  test("opens the door, and its team is what the teacher is told", async () => {
    const { key } = await makeKey({ team: "auth-door", scopes: ["train"] });
    expect(key).toMatch(/^fm_auth-door_[0-9a-f]{64}$/);
    const answer = await post(key, await encode({ purpose: "train", ...images(2, 1) }));
    expect(answer.status).toBe(200);
    const [call] = await seen("auth-door");
    expect(call?.identity).toMatchObject({
      team: "auth-door",
      audience: "funmatch-teacher",
      purpose: "train",
    });
  });

  test("is needed for everything under /v1", async () => {
    for (const path of ["/v1/models", "/v1/models/prof", "/v1/limits"]) {
      const answer = await ask(path);
      expect(answer.headers.get("www-authenticate")).toBe("Bearer");
      expect(answer.headers.get("content-type")).toBe("application/problem+json");
      expect(await problem(answer)).toMatchObject({ status: 401, code: "unauthenticated" });
    }
    expect((await ask("/v1/models/prof/logits", { method: "POST", body: "x" })).status).toBe(401);
    expect((await ask("/healthz")).status).toBe(200);
    expect((await ask("/readyz")).status).toBe(200);
  });

  test("that is not one, or another team's name on it, opens nothing", async () => {
    const { key } = await makeKey({ team: "auth-real", scopes: ["train"] });
    const renamed = key.replace("auth-real", "auth-fake");
    for (const wrong of [renamed, key.slice(0, -1), `${key}0`, "fm_a_b", key.toUpperCase()]) {
      expect(await problem(await ask("/v1/models", { headers: bearer(wrong) }))).toMatchObject({
        status: 401,
      });
    }
    for (const authorization of [key, `Basic ${key}`, `Bearer${key}`, `Bearer ${key} x`, "Bearer "]) {
      expect((await ask("/v1/models", { headers: { authorization } })).status).toBe(401);
    }
    expect((await ask("/v1/models", { headers: bearer(key) })).status).toBe(200);
  });

  test("is never guessed: no text but a key is let in", async () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^fm_[a-z]{1,5}_[0-9a-f]{64}$/)).filter(visible);
    await fc.assert(
      fc.asyncProperty(text, async (token) => {
        expect((await ask("/v1/models", { headers: bearer(token) })).status).toBe(401);
      }),
      { numRuns: 100 },
    );
  });

  test("stops at once when it is revoked", async () => {
    const { id, key } = await makeKey({ team: "auth-revoked", scopes: ["train"] });
    expect((await ask("/v1/models", { headers: bearer(key) })).status).toBe(200);
    expect((await ask(`/admin/keys/${id}`, { method: "DELETE", headers: ADMIN })).status).toBe(204);
    expect((await ask("/v1/models", { headers: bearer(key) })).status).toBe(401);
    expect((await ask(`/admin/keys/${id}`, { method: "DELETE", headers: ADMIN })).status).toBe(404);
  });

  test("that is revoked where we do not see it stops within seconds", async () => {
    const { id, key } = await makeKey({ team: "auth-elsewhere", scopes: ["train"] });
    expect((await ask("/v1/models", { headers: bearer(key) })).status).toBe(200);
    await host.platform().keys.revoke(id); // as another isolate does
    const status = async () => (await ask("/v1/quota", { headers: bearer(key) })).status;
    await expect.poll(status, { timeout: 8000, interval: 200 }).toBe(401);
  });

  test("ends when it was said to", async () => {
    const expiresAt = new Date(Date.now() + 1500).toISOString();
    const { key } = await makeKey({ team: "auth-brief", scopes: ["train"], expiresAt });
    const status = async () => (await ask("/v1/quota", { headers: bearer(key) })).status;
    expect(await status()).toBe(200);
    await expect.poll(status, { timeout: 8000, interval: 100 }).toBe(401);
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expiresAt));
  });

  test("tells when it was last used", async () => {
    const { id, key } = await makeKey({ team: "auth-used", scopes: ["train"] });
    const record = async () => (await host.platform().keys.list("auth-used")).find((one) => one.id === id);
    expect((await record())?.lastUsedAt).toBeNull();
    const before = new Date().toISOString();
    await ask("/v1/quota", { headers: bearer(key) });
    expect((await record())?.lastUsedAt?.localeCompare(before)).toBeGreaterThanOrEqual(0);
  });

  test("is stored as a hash that only the pepper can make, and outlives the object", async () => {
    const { id, key } = await makeKey({ team: "auth-stored", scopes: ["train"] });
    await host.restart();
    expect((await ask("/v1/models", { headers: bearer(key) })).status).toBe(200);
    const row = await host.storedKey(id);
    expect(row.hash).toBe(await hashKey(key, "mixed-into-every-stored-key"));
    expect(row.hash).not.toBe(await hashKey(key, "another-pepper"));
    expect(JSON.stringify(row)).not.toContain(key.slice(-64));
  });

  test("does only what its scopes and models allow", async () => {
    const evaluator = await makeKey({ team: "auth-scopes", scopes: ["eval"], models: ["prof"] });
    const train = await encode({ purpose: "train", ...images(1, 2) });
    const evaluation = await encode({ purpose: "eval", ...images(1, 2) });
    expect(await problem(await post(evaluator.key, train))).toMatchObject({ status: 403, code: "forbidden" });
    expect((await post(evaluator.key, evaluation)).status).toBe(200);
    expect((await post(evaluator.key, evaluation, { model: "liar" })).status).toBe(403);
    expect((await ask("/v1/models/liar", { headers: bearer(evaluator.key) })).status).toBe(403);
    const { models } = (await (await ask("/v1/models", { headers: bearer(evaluator.key) })).json()) as {
      models: { id: string }[];
    };
    expect(models.map(({ id }) => id)).toEqual(["prof"]);
    expect((await ask("/admin/keys", { headers: bearer(evaluator.key) })).status).toBe(403);
  });
});

describe("administration", () => {
  test("is for the bootstrap token and for keys with the scope admin", async () => {
    const { key } = await makeKey({ team: "auth-admin", scopes: ["admin"] });
    const made = await ask("/admin/keys", {
      method: "POST",
      headers: bearer(key),
      body: JSON.stringify({ team: "auth-by-admin", scopes: ["eval"] }),
    });
    expect(made.status).toBe(201);
    const { keys } = (await (await ask("/admin/keys", { headers: bearer(key) })).json()) as {
      keys: Record<string, unknown>[];
    };
    expect(keys.some(({ team }) => team === "auth-by-admin")).toBe(true);
    expect(keys.every((record) => record.key === undefined && record.hash === undefined)).toBe(true);
    for (const headers of [{}, bearer("lets-one-make-the-first-kez"), bearer("")]) {
      expect((await ask("/admin/keys", { headers: headers as Record<string, string> })).status).toBe(401);
    }
  });

  test.each([
    [{ team: "A_B", scopes: ["train"] }, "team"],
    [{ team: "a", scopes: [] }, "scopes"],
    [{ team: "a", scopes: ["root"] }, "scopes"],
    [{ team: "a", scopes: ["train"], models: "prof" }, "models"],
    [{ team: "a", scopes: ["train"], more: 1 }, "more"],
    [{ team: "a", scopes: ["train"], expiresAt: "tomorrow" }, "expiresAt"],
    [{ team: "a", scopes: ["train"], expiresAt: "2020-01-01T00:00:00Z" }, "future"],
  ])("refuses to make the key %j", async (asked, place) => {
    const answer = await ask("/admin/keys", { method: "POST", headers: ADMIN, body: JSON.stringify(asked) });
    const { status, code, detail } = await problem(answer);
    expect([status, code]).toEqual([400, "malformed"]);
    expect(detail).toContain(place);
  });
});

test("an identity header that comes in is not the one that goes out", async () => {
  const { key } = await makeKey({ team: "auth-forger", scopes: ["train"] });
  const forged = "v1.eyJ0ZWFtIjoidmljdGltIn0.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  const body = await encode({ purpose: "train", ...images(1, 3) });
  const answer = await post(key, body, {
    headers: { [IDENTITY_HEADER]: forged, cookie: "a=b", "x-other": "1" },
  });
  expect(answer.status).toBe(200);
  const [call] = await seen("auth-forger");
  expect(call?.headers[IDENTITY_HEADER]).not.toContain(forged);
  expect(call?.headers.authorization).toBeUndefined();
  expect(call?.headers.cookie).toBeUndefined();
  expect(call?.headers["x-other"]).toBeUndefined();
});

function visible(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}
