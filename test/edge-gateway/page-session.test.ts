import { describe, expect, test } from "vitest";
import { host } from "#host";
import { createApp } from "../../edge-gateway/app.ts";
import { ADMIN, ask, makeKey } from "./client.ts";
import { VARIABLES } from "./hosts/settings.ts";
import { cookieOf, open, send } from "./page-client.ts";

const WRONG_KEY = "This key does not open the gateway.";

describe("signing in", () => {
  test("exchanges a key for a cookie that no script reads, no other site sends, and that is not the key", async () => {
    const { key } = await makeKey({ team: "page-in", scopes: ["train"] });
    const { status, headers } = await send("/page/sign-in", { key });
    expect([status, headers.get("location")]).toEqual([303, "/"]);
    const cookie = headers.get("set-cookie")!;
    expect(cookie).toMatch(
      /^funmatch=[0-9a-f-]{36}\.\d+\.[0-9a-f]{64}; Max-Age=28800; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    expect(cookie).not.toContain(key.slice(-64));
    expect((await open("/", cookie.split(";")[0])).text).toContain("<h1>Team page-in</h1>");
    expect((await open("/")).text).toContain("<h1>Sign in</h1>");
  });

  test("over TLS the cookie is Secure and bound to the host, also behind a proxy that ends TLS", async () => {
    const { key } = await makeKey({ team: "page-tls", scopes: ["train"] });
    for (const [url, more] of [
      ["https://gateway.test/page/sign-in", {}],
      ["http://gateway.test/page/sign-in", { "x-forwarded-proto": "https" }],
    ] as const) {
      const body = `key=${key}`;
      const answer = await createApp().fetch(
        new Request(url, {
          method: "POST",
          body,
          headers: {
            "content-type": "application/x-www-form-urlencoded",
            "content-length": String(body.length),
            "sec-fetch-site": "same-origin",
            ...more,
          },
        }),
        host.platform(),
      );
      expect(answer.headers.get("set-cookie")).toMatch(
        /^__Host-funmatch=.*; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
      );
    }
  });

  test("a wrong key, whatever is wrong with it, gets one answer", async () => {
    const { id, key } = await makeKey({ team: "page-wrong", scopes: ["train"] });
    await ask(`/admin/keys/${id}`, { method: "DELETE", headers: ADMIN });
    const stranger = `fm_page-wrong_${"0".repeat(64)}`;
    const pages = [];
    for (const wrong of [key, stranger, `fm_nobody_${"0".repeat(64)}`, "", "x", "<b>&", "k".repeat(9000)]) {
      const { status, headers, text } = await send("/page/sign-in", { key: wrong });
      expect([status, headers.get("set-cookie")]).toEqual([401, null]);
      pages.push(text);
    }
    expect(new Set(pages).size).toBe(1);
    expect(pages[0]).toContain(WRONG_KEY);
  });

  test("signing out takes the cookie away", async () => {
    const { key } = await makeKey({ team: "page-out", scopes: ["train"] });
    const { status, headers } = await send("/page/sign-out", {}, { cookie: await cookieOf(key) });
    expect([status, headers.get("location")]).toEqual([303, "/?done=signed-out"]);
    expect(headers.get("set-cookie")).toMatch(/^funmatch=; Max-Age=0; Path=\//);
  });
});

describe("a session", () => {
  test("ends at once when its key is revoked, and when its key ends", async () => {
    const { id, key } = await makeKey({ team: "page-revoked", scopes: ["train"] });
    const cookie = await cookieOf(key);
    await host.platform().keys.revoke(id); // as another isolate does
    expect((await open("/", cookie)).text).toContain("<h1>Sign in</h1>");
    const expiresAt = new Date(Date.now() + 5000).toISOString();
    const brief = await cookieOf((await makeKey({ team: "page-brief", scopes: ["train"], expiresAt })).key);
    await expect.poll(async () => (await open("/", brief)).text, { timeout: 15_000 }).toContain("Sign in");
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expiresAt));
  });

  test("is nobody's with another id, another end or another signature", async () => {
    const admin = await makeKey({ team: "page-forge", scopes: ["admin"] });
    const { key } = await makeKey({ team: "page-forge", scopes: ["train"] });
    const cookie = await cookieOf(key);
    const [id, end, signed] = cookie.slice("funmatch=".length).split(".") as [string, string, string];
    for (const forged of [
      `${admin.id}.${end}.${signed}`,
      `bootstrap.${end}.${signed}`,
      `${id}.${Number(end) + 1}.${signed}`,
      `${id}.${end}.${signed.slice(1)}0`,
      `${id}.${end}`,
      `${id}.${end}.${signed}.x`,
      `${id}.NaN.${signed}`,
      "..",
      "",
    ]) {
      expect((await open("/", `funmatch=${forged}`)).text).toContain("<h1>Sign in</h1>");
      const { status, headers } = await open("/page/teams", `funmatch=${forged}`);
      expect([status, headers.get("location")]).toEqual([303, "/"]);
    }
  });

  test("of ADMIN_TOKEN ends when the token is taken away or changed", async () => {
    const cookie = await cookieOf(VARIABLES.ADMIN_TOKEN);
    expect((await open("/", cookie)).headers.get("location")).toBe("/page/teams");
    expect((await open("/page/teams", cookie)).status).toBe(200);
    for (const changed of ["another-token-than-before", undefined]) {
      const request = new Request("http://gateway.test/page/teams", { headers: { cookie } });
      const answer = await createApp().fetch(request, host.platform({ ADMIN_TOKEN: changed }));
      expect(answer.status).toBe(303);
    }
  });

  test("opens the page only, not the API", async () => {
    const cookie = await cookieOf((await makeKey({ team: "page-api", scopes: ["admin", "train"] })).key);
    for (const path of ["/v1/quota", "/v1/keys", "/admin/keys", "/admin/teams"])
      expect((await ask(path, { headers: { cookie } })).status).toBe(401);
  });
});

describe("a form from elsewhere", () => {
  test.each<[string, Record<string, string>]>([
    ["another site", { "sec-fetch-site": "cross-site", origin: "https://evil.example" }],
    ["a neighbour under the same domain", { "sec-fetch-site": "same-site" }],
    ["nowhere", { "sec-fetch-site": "none" }],
    ["another site, in an old browser", { origin: "https://evil.example" }],
    ["a sandboxed frame", { origin: "null" }],
    ["a client that says nothing", {}],
  ])("from %s does nothing", async (_where, headers) => {
    const cookie = await cookieOf(VARIABLES.ADMIN_TOKEN);
    const sent = await send("/page/teams", { team: "page-csrf" }, { cookie, headers });
    expect(sent.status).toBe(403);
    expect(sent.text).toContain("nothing was done");
    expect(sent.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(await host.platform().keys.teams()).not.toContain("page-csrf");
    const { key } = await makeKey({ team: "page-login-csrf", scopes: ["train"] });
    expect((await send("/page/sign-in", { key }, { headers })).headers.get("set-cookie")).toBeNull();
  });

  test("an old browser's own form is known by its origin", async () => {
    const { key } = await makeKey({ team: "page-old", scopes: ["train"] });
    const body = `key=${key}`;
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      "content-length": String(body.length),
      host: "gateway.test",
      origin: "https://gateway.test",
    };
    const request = new Request("http://gateway.test/page/sign-in", { method: "POST", body, headers });
    expect((await createApp().fetch(request, host.platform())).status).toBe(303);
  });
});

test("every page is confined: no script, no inline style, no frame, nothing stored", async () => {
  const { key } = await makeKey({ team: "page-headers", scopes: ["admin"] });
  const cookie = await cookieOf(key);
  for (const path of ["/", "/page/teams", "/page/teams/page-headers", "/page/nowhere"]) {
    const { headers, text } = await open(path, cookie);
    expect(headers.get("content-type")).toBe("text/html; charset=UTF-8");
    expect(headers.get("content-security-policy")).toBe(
      "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    );
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("same-origin");
    expect(text).not.toMatch(/<script|<style|\sstyle=|\son[a-z]+=|javascript:/i);
    expect(text).not.toContain(key);
  }
  expect((await open("/page/style.css")).headers.get("content-type")).toBe("text/css; charset=utf-8");
  expect((await open("/page/icon.svg")).headers.get("content-type")).toBe("image/svg+xml");
});
