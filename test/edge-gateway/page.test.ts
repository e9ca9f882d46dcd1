import { describe, expect, test } from "vitest";
import { host } from "#host";
import { ADMIN, ask, bearer, encode, images, makeKey, post } from "./client.ts";
import { VARIABLES } from "./hosts/settings.ts";
import { cookieOf, formId, open, send } from "./page-client.ts";

describe("a team", () => {
  test("sees what it used, its cache hit rate, what is left and its keys", async () => {
    const { id, key } = await makeKey({ team: "page-team", scopes: ["train", "eval"] });
    const quota = { imagesPerMonth: 1000, bytesPerMonth: null };
    await ask("/admin/teams/page-team/quota", { method: "PUT", headers: ADMIN, body: JSON.stringify(quota) });
    const cookie = await cookieOf(key);
    expect((await open("/", cookie)).text).toContain("Nothing was asked in this time.");
    expect((await post(key, await encode({ purpose: "train", ...images(7, 901) }))).status).toBe(200);
    const evaluation = await encode({ purpose: "eval", ...images(3, 902) });
    await post(key, evaluation);
    const isHit = async () => (await post(key, evaluation)).headers.get("x-funmatch-cache");
    await expect.poll(isHit, { timeout: 8000 }).toBe("hit");
    const page = async () => (await open("/", cookie)).text;
    await expect.poll(page, { timeout: 8000 }).toMatch(/[1-9]\d* of \d+ evaluation calls/);
    // What a hit was charged is given back after its answer.
    await expect.poll(page, { timeout: 8000 }).toMatch(/<strong>990<\/strong> of 1,000 left/);
    const text = await page();
    expect(text).toContain('<h3 id="images">Images by hour</h3>');
    expect(text).toMatch(/<rect class="s0"[^>]*><title>\d+ \w+, \d\d:00 UTC, prof: \d+<\/title><\/rect>/);
    expect(text).toContain(id.slice(0, 8));
    expect(text).not.toContain("Make a key");
    expect((await open("/?period=month", cookie)).text).toContain("Images by day");
    expect((await open("/?period=%3Cb%3E", cookie)).text).toContain("Usage, last 24 hours");
  });

  test("sees no other team, and changes nothing", async () => {
    const { key } = await makeKey({ team: "page-plain", scopes: ["train", "eval"] });
    const other = await makeKey({ team: "page-other", scopes: ["train"] });
    const cookie = await cookieOf(key);
    for (const path of ["/page/teams", "/page/teams/page-other", "/page/teams/page-plain"]) {
      const { status, text } = await open(path, cookie);
      expect(status).toBe(403);
      expect(text).not.toContain("page-other");
    }
    for (const [path, form] of [
      ["/page/teams", { team: "page-mine" }],
      ["/page/teams/page-plain/quota", { imagesPerMonth: "none" }],
      ["/page/teams/page-plain/keys", { scopes: "admin", id: crypto.randomUUID() }],
      [`/page/teams/page-other/keys/${other.id}/revoke`, {}],
    ] as const)
      expect((await send(path, form, { cookie })).status).toBe(403);
    expect((await ask("/v1/quota", { headers: bearer(other.key) })).status).toBe(200);
    expect(await host.platform().keys.list("page-plain")).toHaveLength(1);
  });
});

describe("an administrator", () => {
  test("makes a team and a key, which is shown once, sets a quota, and revokes", async () => {
    const cookie = await cookieOf((await makeKey({ team: "page-ops", scopes: ["admin"] })).key);
    const made = await send("/page/teams", { team: "page-new" }, { cookie });
    expect([made.status, made.headers.get("location")]).toEqual([303, "/page/teams/page-new?done=team"]);
    expect((await send("/page/teams", { team: "page-new" }, { cookie })).text).toContain("already");
    expect((await open("/page/teams", cookie)).text).toContain('href="/page/teams/page-new"');

    const form = {
      id: formId((await open("/page/teams/page-new", cookie)).text),
      scopes: ["train", "eval"],
      models: "prof, liar",
      ends: "2999-12-31",
    };
    const shown = await send("/page/teams/page-new/keys", form, { cookie });
    expect([shown.status, shown.headers.get("cache-control")]).toEqual([201, "no-store"]);
    const key = /fm_page-new_[0-9a-f]{64}/.exec(shown.text)![0];
    expect((await ask("/v1/quota", { headers: bearer(key) })).status).toBe(200);
    const again = await send("/page/teams/page-new/keys", form, { cookie });
    expect(again.status).toBe(400);
    expect(again.text).toContain("This form was sent before");
    const keys = await host.platform().keys.list("page-new");
    expect(keys).toMatchObject([
      { id: form.id, models: ["prof", "liar"], expiresAt: "2999-12-31T23:59:59.000Z" },
    ]);
    expect((await open("/page/teams/page-new", cookie)).text).not.toContain(key);

    const quota = { imagesPerMinute: "6 000", imagesPerMonth: "50,000,000", bytesPerMonth: "none" };
    const saved = await send("/page/teams/page-new/quota", quota, { cookie });
    expect(saved.headers.get("location")).toBe("/page/teams/page-new?done=quota");
    const { own } = await host.platform().team("page-new").standing(host.platform().settings.quota);
    expect(own).toEqual({ imagesPerMinute: 6000, imagesPerMonth: 50_000_000, bytesPerMonth: null });

    const revoked = await send(`/page/teams/page-new/keys/${form.id}/revoke`, {}, { cookie });
    expect(revoked.headers.get("location")).toBe("/page/teams/page-new?done=revoked");
    expect((await ask("/v1/quota", { headers: bearer(key) })).status).toBe(401);
    expect((await send(`/page/teams/page-new/keys/${form.id}/revoke`, {}, { cookie })).status).toBe(404);
  });

  test.each<[string, string, Record<string, string>, number, string]>([
    ["a team's name", "", { team: 'A"><script>x' }, 400, "The name must be 1 to 40"],
    ["no name", "", {}, 400, "The name must be 1 to 40"],
    ["a quota", "/page-forms/quota", { imagesPerMonth: "-5" }, 400, "Images a month is &quot;-5&quot;"],
    ["a quota of nothing", "/page-forms/quota", { burstImages: "0" }, 400, "Images at once"],
    ["a key for nothing", "/page-forms/keys", { models: "prof" }, 400, "choose at least one"],
    ["a key for a scope that is none", "/page-forms/keys", { scopes: "root" }, 400, "choose at least one"],
    ["a model's name", "/page-forms/keys", { scopes: "eval", models: "../x" }, 400, "Models: names"],
    ["a day that is over", "/page-forms/keys", { scopes: "eval", ends: "2020-01-01" }, 400, "Last day"],
    ["no day", "/page-forms/keys", { scopes: "eval", ends: '"<b>' }, 400, "Last day"],
    ["a form without its id", "/page-forms/keys", { scopes: "eval" }, 400, "open it anew"],
    ["a team that is none", "/page-nobody/quota", {}, 404, "There is no team"],
    ["a huge form", "", { team: "a".repeat(20_000) }, 413, "a form may have".slice(2)],
  ])("is told in plain words what is wrong with %s", async (_what, path, form, status, words) => {
    const cookie = await cookieOf(VARIABLES.ADMIN_TOKEN);
    await host.platform().keys.addTeam("page-forms");
    const answer = await send(`/page/teams${path}`, form, { cookie });
    expect(answer.status).toBe(status);
    expect(answer.text).toContain(words);
    expect(answer.text).toContain("<title>Error: ");
    expect(answer.text).not.toMatch(/<script|<b>/);
    expect(await host.platform().keys.list("page-forms")).toEqual([]);
  });

  test("sees hostile names as text", async () => {
    const team = host.platform().team("page-hostile");
    await host.platform().keys.addTeam("page-hostile");
    const hostile = `"><img src=x onerror=alert(1)>'&`;
    const call = {
      requestId: "h",
      model: hostile,
      purpose: "eval",
      images: 5,
      bytes: 9,
      digest: null,
    } as const;
    await team.admit({ ...call, leaseMs: 1000 }, host.platform().settings.quota);
    const cookie = await cookieOf(VARIABLES.ADMIN_TOKEN);
    const { text } = await open(`/page/teams/page-hostile?done=${encodeURIComponent(hostile)}`, cookie);
    expect(text).not.toContain("<img");
    expect(text).toContain("&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&#39;&amp;");
    const missing = await open(`/page/teams/${encodeURIComponent(hostile)}`, cookie);
    expect(missing.status).toBe(404);
    expect(missing.text).not.toContain("<img");
    expect((await open("/?done=constructor")).text).not.toContain("notice");
  });
});
