import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { host } from "#host";
import { createApp } from "../../edge-gateway/app.ts";
import { readSettings, SettingsError } from "../../edge-gateway/settings.ts";
import { ask, bearer, encode, GATEWAY, images, post, problem, seen } from "./client.ts";
import type { Wanted } from "./fake-issuer.ts";
import { VARIABLES } from "./hosts/settings.ts";

const now = () => Math.floor(Date.now() / 1000);

/** Claims that the gateway takes, but for those that are changed. */
const claims = (changed: Record<string, unknown> = {}) => ({
  iss: host.issuer,
  aud: "funmatch",
  sub: "repo:vision/distil:ref:refs/heads/main",
  repository: "vision/distil",
  ref: "refs/heads/main",
  iat: now() - 60,
  nbf: now() - 60,
  exp: now() + 300,
  ...changed,
});

async function signed(
  changed: Record<string, unknown> = {},
  how: Omit<Wanted, "claims"> = {},
): Promise<string> {
  const wanted: Wanted = { claims: claims(changed), ...how };
  return (await fetch(`${host.issuer}/token`, { method: "POST", body: JSON.stringify(wanted) })).text();
}

const base64url = (value: unknown) =>
  btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
const models = (token: string) => ask("/v1/models", { headers: bearer(token) });

afterEach(() => {
  vi.useRealTimers();
});

describe("a token of a CI system", () => {
  test("stands for the team, scopes and models that its claims are granted", async () => {
    const main = await signed();
    const train = await encode({ purpose: "train", ...images(2, 1) });
    expect((await post(main, train)).status).toBe(200);
    expect((await seen("ci-vision")).at(-1)?.identity.team).toBe("ci-vision");
    expect((await post(main, train, { model: "liar" })).status).toBe(403);
    expect((await ask("/admin/keys", { headers: bearer(main) })).status).toBe(403);

    const tag = await signed({ ref: "refs/tags/v1.2" });
    expect((await post(tag, train)).status).toBe(200);

    const branch = await signed({ ref: "refs/heads/try" });
    expect(await problem(await post(branch, train))).toMatchObject({ status: 403, code: "forbidden" });
    expect((await post(branch, await encode({ purpose: "eval", ...images(2, 1) }))).status).toBe(200);
  });

  test("may name several audiences, of which we are one", async () => {
    expect((await models(await signed({ aud: ["other", "funmatch"] }))).status).toBe(200);
  });

  test("that is good but granted nothing is forbidden", async () => {
    for (const changed of [
      { repository: "vision/distil2" },
      { repository: ["x"] },
      { repository: undefined },
    ]) {
      expect(await problem(await models(await signed(changed)))).toMatchObject({ status: 403 });
    }
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["has expired", { exp: now() - 1 }, "has expired"],
    ["never expires", { exp: undefined }, "when it expires"],
    ["expires at no time", { exp: "tomorrow" }, "has expired"],
    ["is not valid yet", { nbf: now() + 120 }, "not valid yet"],
    ["is for another audience", { aud: "funmatch-staging" }, "another audience"],
    ["has no audience", { aud: undefined }, "no audience"],
    ["is of another issuer", { iss: "https://token.actions.githubusercontent.com" }, "issuer"],
    ["has no issuer", { iss: undefined }, "issuer"],
  ])("that %s opens nothing", async (_, changed, why) => {
    const { status, code, detail } = await problem(await models(await signed(changed)));
    expect([status, code]).toEqual([401, "unauthenticated"]);
    expect(detail).toContain(why);
  });

  test("that is signed by nobody, or by somebody else, opens nothing", async () => {
    const good = await signed();
    const [header, payload, signature] = good.split(".") as [string, string, string];
    const { kid } = JSON.parse(atob(header)) as { kid: string };
    const publicKey = await (await fetch(`${host.issuer}/keys`)).text();
    const secret = await crypto.subtle.importKey(
      "raw",
      new TextEncoder().encode(publicKey),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["sign"],
    );
    const symmetric = `${base64url({ alg: "HS256", typ: "JWT", kid })}.${payload}`;
    const mac = await crypto.subtle.sign("HMAC", secret, new TextEncoder().encode(symmetric));
    const hmac = btoa(String.fromCharCode(...new Uint8Array(mac))).replace(/=+$/, "");
    const richer = base64url(claims({ repository: "vision/other" }));
    for (const [what, token] of Object.entries({
      none: `${base64url({ alg: "none", typ: "JWT", kid })}.${payload}.`,
      noneSigned: `${base64url({ alg: "none", typ: "JWT", kid })}.${payload}.${signature}`,
      noSignature: `${header}.${payload}.`,
      otherClaims: `${header}.${richer}.${signature}`,
      publicKeyAsSecret: `${symmetric}.${hmac.replaceAll("+", "-").replaceAll("/", "_")}`,
      forged: await signed({}, { forged: true }),
      noKid: await signed({}, { header: { kid: "" } }),
      critical: await signed({}, { header: { crit: ["b64"], b64: true } }),
    })) {
      expect((await models(token)).status, what).toBe(401);
    }
    expect((await models(good)).status).toBe(200);
  });

  test("is never let in by accident: no change of a good one is", async () => {
    const good = await signed();
    const change = fc.record({
      at: fc.integer({ min: 0, max: good.length - 1 }),
      by: fc.constantFrom(..."ABab01-_."),
    });
    await fc.assert(
      fc.asyncProperty(change, async ({ at, by }) => {
        const changed = good.slice(0, at) + by + good.slice(at + 1);
        // The last character holds bits that belong to no byte; there another one may spell the same signature.
        fc.pre(changed !== good && at !== good.length - 1);
        expect((await models(changed)).status).toBe(401);
      }),
      { numRuns: 60 },
    );
  });
});

test("a key that the issuer begins is taken up, and one that it ended is not believed for ever", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const app = createApp();
  const inside = async (token: string) =>
    (await app.fetch(new Request(`${GATEWAY}/v1/quota`, { headers: bearer(token) }), host.platform())).status;
  const asked = async () => (await (await fetch(`${host.issuer}/asked`)).json()) as number;
  const before = await signed();
  expect(await inside(before)).toBe(200);
  const once = await asked();
  expect(await inside(await signed({ jti: "again" }))).toBe(200);
  expect(await asked()).toBe(once); // kept

  await fetch(`${host.issuer}/rotate`, { method: "POST" });
  vi.setSystemTime(Date.now() + 11_000);
  const after = await signed();
  expect(await inside(after)).toBe(200);
  expect(await inside(await signed({}, { header: { kid: "made-up" } }))).toBe(401);
  expect(await asked()).toBe(once + 1); // made-up names do not have the issuer asked again and again
  expect(await inside(before)).toBe(401);
});

test("without the issuer's keys nobody is let in", async () => {
  const logged = vi.spyOn(console, "error").mockReturnValue();
  const away = "http://127.0.0.1:9";
  const platform = host.platform({
    OIDC: [
      { issuer: away, audience: "funmatch", grants: [{ claims: { a: "b" }, team: "t", scopes: ["eval"] }] },
    ],
  });
  const request = new Request(`${GATEWAY}/v1/quota`, {
    headers: bearer(await signed({ iss: away, a: "b" })),
  });
  const answer = await createApp().fetch(request, platform);
  expect(answer.headers.get("retry-after")).toBe("10");
  expect(await problem(answer)).toMatchObject({ status: 503, code: "upstream_unreachable" });
  logged.mockRestore();
});

test.each<[string, unknown, RegExp]>([
  ["http beyond this machine", { issuer: "http://ci.example" }, /OIDC\.0\.issuer must be https/],
  ["a grant without claims", { grants: [{ claims: {}, team: "t", scopes: ["eval"] }] }, /needs a claim/],
  ["a symmetric algorithm", { algorithms: ["HS256"] }, /algorithms/],
  ["a team that cannot be one", { grants: [{ claims: { a: "b" }, team: "A", scopes: ["eval"] }] }, /team/],
])("%s is refused as a setting", (_, changed, why) => {
  const good = {
    issuer: host.issuer,
    audience: "a",
    grants: [{ claims: { a: "b" }, team: "t", scopes: ["eval"] }],
  };
  const settings = { ...VARIABLES, TEACHER_URL: "http://teacher.test" };
  expect(readSettings({ ...settings, OIDC: JSON.stringify([good]) }).oidc).toHaveLength(1);
  const wrong = () =>
    readSettings({ ...settings, OIDC: JSON.stringify([{ ...good, ...(changed as object) }]) });
  expect(wrong).toThrow(SettingsError);
  expect(wrong).toThrow(why);
});
