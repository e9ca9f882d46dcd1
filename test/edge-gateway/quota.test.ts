import { HEADERS } from "@funmatch/wire";
import { describe, expect, test } from "vitest";
import { host } from "#host";
import { createApp } from "../../edge-gateway/app.ts";
import type { OwnQuota, Policy, Quota } from "../../edge-gateway/quota/quota.ts";
import type { UsageRow } from "../../edge-gateway/quota/usage-table.ts";
import { ADMIN, ask, bearer, encode, images, logitsRequest, makeKey, post, problem, seen } from "./client.ts";

/** A team with this quota, and a key of it. */
async function team(name: string, quota: OwnQuota): Promise<string> {
  const made = await ask("/admin/teams", {
    method: "POST",
    headers: ADMIN,
    body: JSON.stringify({ team: name, quota }),
  });
  expect(made.status).toBe(201);
  return (await makeKey({ team: name, scopes: ["train", "eval"] })).key;
}

async function policies(key: string): Promise<Record<string, Policy>> {
  const answer = await ask("/v1/quota", { headers: bearer(key) });
  const { policies: all } = (await answer.json()) as { quota: Quota; policies: Policy[] };
  return Object.fromEntries(all.map((policy) => [policy.name, policy]));
}

/** What is left of a limit, once calls that were answered are booked: that may come a moment after the answer. */
const left = (key: string, name: Policy["name"]) =>
  expect.poll(async () => (await policies(key))[name]?.remaining);

/** What a team used, its hours summed up: a test may run across the end of one. */
async function usage(key: string): Promise<Omit<UsageRow, "hour">[]> {
  const answer = await ask("/v1/usage", { headers: bearer(key) });
  const { usage: rows } = (await answer.json()) as { usage: UsageRow[] };
  const sums = new Map<string, Omit<UsageRow, "hour">>();
  for (const { hour, ...row } of rows) {
    expect(hour).toMatch(/^\d{4}-\d\d-\d\dT\d\d$/);
    const sum = sums.get(`${row.model} ${row.purpose}`);
    for (const name of ["calls", "images", "bytes", "hits", "failures"] as const)
      row[name] += sum?.[name] ?? 0;
    sums.set(`${row.model} ${row.purpose}`, row);
  }
  return [...sums.values()];
}

const train = (n: number, seed: number, digest?: string | null) =>
  encode({ purpose: "train", ...images(n, seed), ...(digest === undefined ? {} : { digest }) });
const withId = (id: string) => ({ headers: { [HEADERS.requestId]: id } });

describe("a team's quota", () => {
  test("lets exactly so many through as it says, however many come at once, and remembers it", async () => {
    const key = await team("quota-exact", { imagesPerMonth: 50 });
    const body = await train(1, 1);
    const burst = async () => {
      const answers = await Promise.all(Array.from({ length: 200 }, () => post(key, body)));
      await Promise.all(answers.map((answer) => answer.arrayBuffer()));
      return answers.filter(({ status }) => status === 200).length;
    };
    expect(await burst()).toBe(50);
    expect((await seen("quota-exact")).length).toBe(50);
    await host.restart();
    expect((await post(key, body)).status).toBe(429);
    await left(key, "month").toBe(0);
  });

  test("says when to come again, and how all limits stand", async () => {
    const key = await team("quota-told", { imagesPerMinute: 6, burstImages: 10, bytesPerMonth: 1_000_000 });
    const first = await post(key, await train(8, 2));
    expect(first.status).toBe(200);
    expect(first.headers.get("ratelimit-policy")).toBe(
      '"minute";q=10;w=100;funmatch-unit="images", "month-bytes";q=1000000;w=' +
        `${daysOfThisMonth() * 86_400};qu="content-bytes"`,
    );
    expect(first.headers.get("ratelimit")).toMatch(/^"minute";r=2;t=10, "month-bytes";r=998\d{3};t=\d+$/);

    const second = await post(key, await train(10, 3));
    expect(second.headers.get("ratelimit")).toMatch(/^"minute";r=[23];t=10, /);
    expect(Number(second.headers.get("retry-after"))).toBeGreaterThanOrEqual(65); // 8 images, one in 10 s
    expect(Number(second.headers.get("retry-after"))).toBeLessThanOrEqual(80);
    const told = (await second.json()) as Record<string, unknown>;
    expect(told).toMatchObject({ status: 429, code: "quota_exceeded", "violated-policies": ["minute"] });
    expect((await seen("quota-told")).length).toBe(1);
  });

  test("refuses for good what it will never allow, and names the limit", async () => {
    const key = await team("quota-never", { imagesPerMinute: 1000, burstImages: 10, imagesInFlight: 20 });
    const answer = await post(key, await train(11, 4));
    const { status, code, detail } = await problem(answer);
    expect([status, code]).toEqual([413, "too_large"]);
    expect(detail).toContain("lets 10 through at once (burstImages)");
    const limits = await (await ask("/v1/limits", { headers: bearer(key) })).json();
    expect(limits).toMatchObject({ maxImages: 10 }); // so a trainer cuts its batches smaller
    const poor = await team("quota-never-month", { imagesPerMinute: 1000, imagesPerMonth: 5 });
    const tooMany = await problem(await post(poor, await train(6, 4)));
    expect(tooMany).toMatchObject({ status: 413, code: "too_large" }); // and not 429 until the month's end
    expect(tooMany.detail).toContain("lets 5 through at once (imagesPerMonth)");
    expect(await (await ask("/v1/limits", { headers: bearer(poor) })).json()).toMatchObject({ maxImages: 5 });
  });

  test("refuses for good what alone has more bytes than the month, too", async () => {
    const body = await train(6, 4);
    const key = await team("quota-never-bytes", { bytesPerMonth: body.length - 1 });
    const { status, code, detail } = await problem(await post(key, body));
    expect([status, code]).toEqual([413, "too_large"]);
    expect(detail).toContain(`lets ${body.length - 1} through at once (bytesPerMonth)`);
    const limits = await (await ask("/v1/limits", { headers: bearer(key) })).json();
    expect(limits).toMatchObject({ maxBodyBytes: body.length - 1 });
  });

  test("counts by the first bytes of a call, before the others are there", async () => {
    const key = await team("quota-prefix", { imagesPerMonth: 1000 });
    const body = await train(200, 5);
    const { readable, writable } = host.platform().pipe(body.length);
    const request = logitsRequest(key, readable, { length: body.length });
    const answer = createApp().fetch(request, host.platform());
    const writer = writable.getWriter();
    await writer.write(body.subarray(0, 512));
    await left(key, "month").toBe(800);
    await writer.write(body.subarray(512));
    await writer.close();
    expect((await answer).status).toBe(200);
  });

  test("is counted in images that are in flight too", async () => {
    const key = await team("quota-flight", { imagesInFlight: 10 });
    const slow = post(key, await train(7, 6), { model: "slow" });
    await left(key, "in-flight").toBe(3);
    const refused = await post(key, await train(4, 7));
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(await refused.json()).toMatchObject({ status: 429, "violated-policies": ["in-flight"] });
    expect((await post(key, await train(3, 8))).status).toBe(200);
    expect((await slow).status).toBe(200);
    await left(key, "in-flight").toBe(10);
    expect((await post(key, await train(10, 9))).status).toBe(200);
  });

  test("is that of the gateway where the team has none of its own", async () => {
    const { key } = await makeKey({ team: "quota-default", scopes: ["train"] });
    expect(await policies(key)).toEqual({});
    const platform = host.platform({ QUOTA: '{ "imagesPerMonth": 5 }' });
    const body = await train(6, 10);
    const request = logitsRequest(key, body);
    const { status, detail } = await problem(await createApp().fetch(request, platform));
    expect(status).toBe(413);
    expect(detail).toContain("imagesPerMonth");
    await ask("/admin/teams/quota-default/quota", {
      method: "PUT",
      headers: ADMIN,
      body: '{ "imagesPerMonth": null }',
    });
    expect((await post(key, body)).status).toBe(200);
  });

  test("of one team is not another's", async () => {
    const spent = await team("quota-spent", { imagesPerMonth: 1 });
    const other = await team("quota-other", { imagesPerMonth: 1 });
    const body = await train(1, 11);
    expect((await post(spent, body)).status).toBe(200);
    expect((await post(spent, body)).status).toBe(429);
    expect((await post(other, body)).status).toBe(200);
  });
});

describe("of what is asked again", () => {
  test("a retry with the same request id counts once", async () => {
    const key = await team("quota-retry", { imagesPerMonth: 10 });
    const body = await train(6, 20);
    for (const _ of [1, 2, 3]) expect((await post(key, body, withId("step-1"))).status).toBe(200);
    await left(key, "month").toBe(4);
    expect(await usage(key)).toMatchObject([{ model: "prof", purpose: "train", calls: 1, images: 6 }]);
    await host.restart();
    expect((await post(key, body, withId("step-1"))).status).toBe(200);
    await left(key, "month").toBe(4);
  });

  test("other images under the same request id are counted, and so are those that nobody can tell apart", async () => {
    const key = await team("quota-reuse", { imagesPerMonth: 10 });
    for (const seed of [21, 22])
      expect((await post(key, await train(3, seed), withId("same"))).status).toBe(200);
    await left(key, "month").toBe(4);
    const nameless = await encode({ purpose: "eval", ...images(2, 23), digest: null });
    const headers = { ...withId("same-again").headers, "cache-control": "no-store" };
    for (const _ of [1, 2]) expect((await post(key, nameless, { headers })).status).toBe(200);
    await left(key, "month").toBe(0);
  });

  test("what goes on and on is no retry", async () => {
    const key = await team("quota-forever", { imagesPerMonth: 3 });
    const body = await train(3, 24);
    const answers: number[] = [];
    for (let i = 0; i < 18; i++) answers.push((await post(key, body, withId("again"))).status);
    expect(answers).toEqual([...Array.from({ length: 17 }, () => 200), 429]);
  });
});

describe("images are given back", () => {
  test.each([
    ["the teacher refuses", "loading", 503],
    ["the teacher answers for others", "liar", 502],
  ])("where %s", async (_, model, status) => {
    const key = await team(`quota-back-${model}`, { imagesPerMonth: 5, bytesPerMonth: 10_000 });
    expect((await post(key, await train(5, 30), { model })).status).toBe(status);
    await left(key, "month").toBe(5);
    await left(key, "month-bytes").toBe(10_000);
    expect(await usage(key)).toMatchObject([{ model, calls: 0, images: 0, bytes: 0, failures: 1 }]);
    expect((await post(key, await train(5, 31))).status).toBe(200);
  });

  test("where the store answers; its bytes were moved all the same", async () => {
    const key = await team("quota-hit", { imagesPerMonth: 100, bytesPerMonth: 100_000 });
    const body = await encode({ purpose: "eval", ...images(4, 32) });
    expect((await post(key, body)).headers.get(HEADERS.cache)).toBe("miss");
    await expect.poll(async () => (await post(key, body)).headers.get(HEADERS.cache)).toBe("hit");
    const [row] = await usage(key);
    const asked = row!.calls;
    await expect.poll(async () => (await usage(key))[0]?.hits).toBeGreaterThan(0);
    const hits = (await usage(key))[0]!.hits;
    await left(key, "month").toBe(100 - 4 * (asked - hits));
    await left(key, "month-bytes").toBe(100_000 - asked * body.length);
  });

  test("but not where time ran out: the teacher may have computed them", async () => {
    const key = await team("quota-lost", { imagesPerMonth: 5 });
    const headers = { [HEADERS.timeout]: "200", [HEADERS.requestId]: "late" };
    expect((await post(key, await train(5, 33), { model: "slow", headers })).status).toBe(504);
    await left(key, "month").toBe(0);
    // and asked again under the same id they cost nothing more
    expect((await post(key, await train(5, 33), { model: "slow", ...withId("late") })).status).toBe(200);
  });
});

describe("usage", () => {
  test("is told by hour, model and purpose: a team its own, an admin all", async () => {
    const key = await team("usage-a", {});
    const other = await team("usage-b", {});
    const body = await train(2, 40);
    await post(key, body);
    await post(key, body);
    await post(key, await encode({ purpose: "eval", ...images(3, 41) }), { model: "other" });
    await post(other, body);
    const row = { hits: 0, failures: 0 };
    expect(await usage(key)).toEqual([
      { ...row, model: "other", purpose: "eval", calls: 1, images: 3, bytes: expect.any(Number) },
      { ...row, model: "prof", purpose: "train", calls: 2, images: 4, bytes: 2 * body.length },
    ]);
    const all = (await (await ask("/admin/usage", { headers: ADMIN })).json()) as {
      usage: { team: string }[];
    };
    expect(all.usage.filter(({ team }) => team.startsWith("usage-"))).toMatchObject([
      { team: "usage-a", model: "other" },
      { team: "usage-a", model: "prof" },
      { team: "usage-b", model: "prof", images: 2 },
    ]);
    const later = await ask("/v1/usage?from=2099-01-01&to=2099-02-01", { headers: bearer(key) });
    expect(await later.json()).toMatchObject({ from: "2099-01-01T00:00Z", usage: [] });
    expect((await ask("/v1/usage?from=soon", { headers: bearer(key) })).status).toBe(400);
    expect((await ask("/admin/usage", { headers: bearer(key) })).status).toBe(403);
    const { keys } = (await (await ask("/v1/keys", { headers: bearer(key) })).json()) as {
      keys: { team: string }[];
    };
    expect(keys.map(({ team }) => team)).toEqual(["usage-a"]);
  });
});

describe("administration of teams", () => {
  test("lists them with their quotas, also those that tokens of a CI system stand for", async () => {
    await team("teams-listed", { imagesPerMinute: 60 });
    const { teams } = (await (await ask("/admin/teams", { headers: ADMIN })).json()) as {
      teams: { team: string; own: OwnQuota; quota: Quota }[];
    };
    expect(teams.map(({ team }) => team)).toEqual(expect.arrayContaining(["ci-vision", "teams-listed"]));
    expect(teams.find(({ team }) => team === "teams-listed")).toMatchObject({
      own: { imagesPerMinute: 60 },
      quota: { imagesPerMinute: 60, imagesPerMonth: null },
    });
  });

  test("is for admins, and says what is wrong", async () => {
    const { key } = await makeKey({ team: "teams-none", scopes: ["train"] });
    const put = (team: string, body: string, headers: Record<string, string> = ADMIN) =>
      ask(`/admin/teams/${team}/quota`, { method: "PUT", headers, body });
    expect((await put("teams-none", "{}", bearer(key))).status).toBe(403);
    expect((await put("teams-nobody", "{}")).status).toBe(404);
    for (const [body, place] of [
      ['{ "imagesPerMinute": 0 }', "imagesPerMinute"],
      ['{ "imagesPerMinute": "60" }', "imagesPerMinute"],
      ['{ "images": 60 }', "images"],
      ["no json", "body"],
    ] as const) {
      const { status, detail } = await problem(await put("teams-none", body));
      expect(status).toBe(400);
      expect(detail).toContain(place);
    }
  });
});

function daysOfThisMonth(): number {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 0)).getUTCDate();
}
