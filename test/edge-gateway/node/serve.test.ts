import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { getRequestListener } from "@hono/node-server";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { OwnQuota, Policy } from "../../../edge-gateway/quota/quota.ts";
import { bearer, encode, images } from "../client.ts";
import { fakeTeacher } from "../fake-teacher.ts";
import { VARIABLES } from "../hosts/settings.ts";

// `funmatch-gateway serve`, started as a user starts it.

const folder = mkdtempSync(join(tmpdir(), "funmatch-gateway-serve-"));
const config = join(folder, "gateway.yaml");
const teacher = fakeTeacher({ secret: VARIABLES.TEACHER_SECRET, audience: VARIABLES.AUDIENCE });
const server = createServer(getRequestListener(teacher.fetch));
const running: ChildProcess[] = [];

beforeAll(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  write({});
});

afterAll(() => {
  for (const child of running) child.kill("SIGKILL");
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

function write(changed: Record<string, unknown>): void {
  const { port } = server.address() as AddressInfo;
  const written = {
    listen: { port: 0 },
    teacherUrl: `http://127.0.0.1:${port}`,
    teacherSecret: "env:TEACHER_SECRET",
    keyPepper: "env:KEY_PEPPER",
    adminToken: "env:ADMIN_TOKEN",
    ...changed,
  };
  writeFileSync(config, JSON.stringify(written)); // which is YAML
}

/** Makes a team with this quota, and a key of it. */
async function team(url: string, name: string, quota: OwnQuota): Promise<string> {
  const admin = (path: string, body: unknown) =>
    fetch(url + path, {
      method: "POST",
      headers: { authorization: `Bearer ${VARIABLES.ADMIN_TOKEN}` },
      body: JSON.stringify(body),
    });
  await admin("/admin/teams", { team: name, quota });
  const made = await admin("/admin/keys", { team: name, scopes: ["train"] });
  return ((await made.json()) as { key: string }).key;
}

function post(url: string, key: string, body: Uint8Array<ArrayBuffer>): Promise<Response> {
  const headers = { ...bearer(key), "content-type": "application/vnd.msgpack" };
  return fetch(`${url}/v1/models/prof/logits`, { method: "POST", body, headers });
}

function serve(): ChildProcess {
  const cli = join(import.meta.dirname, "../../../edge-gateway/cli.ts");
  const child = spawn(process.execPath, [cli, "serve", config], { env: { ...process.env, ...VARIABLES } });
  running.push(child);
  return child;
}

async function urlOf(child: ChildProcess): Promise<string> {
  for await (const line of createInterface(child.stdout!)) {
    const url = /listens on (\S+)/.exec(line)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error("it ended before it listened");
}

test("two processes share a folder: keys, and a quota that lets exactly so many through", async () => {
  const children = [serve(), serve()];
  const urls = await Promise.all(children.map(urlOf));
  const key = await team(urls[0] as string, "shared", { imagesPerMonth: 20 });
  const body = await encode({ purpose: "train", ...images(1, 1) });
  const ask = async (url: string) => {
    const answer = await post(url, key, body);
    await answer.arrayBuffer();
    return answer.status;
  };
  const statuses = await Promise.all(Array.from({ length: 80 }, (_, i) => ask(urls[i % 2] as string)));
  expect(statuses.filter((status) => status === 200)).toHaveLength(20);
  expect(statuses.filter((status) => status === 429)).toHaveLength(60);

  const ends = children.map((child) => once(child, "close"));
  for (const child of children) child.kill("SIGTERM");
  expect((await Promise.all(ends)).map(([status]) => status)).toEqual([0, 0]);
  const again = serve();
  expect(await ask(await urlOf(again))).toBe(429);
});

test("calls that outlast the patience of its end are cut off, and settled before it ends", async () => {
  const stalled = createServer(() => {}); // never answers
  await once(stalled.listen(0, "127.0.0.1"), "listening");
  const { port } = stalled.address() as AddressInfo;
  write({ teacherUrl: `http://127.0.0.1:${port}`, drainSeconds: 1 });
  const child = serve();
  let complaints = "";
  child.stderr!.on("data", (chunk) => (complaints += chunk));
  const url = await urlOf(child);
  const key = await team(url, "cut-off", { imagesInFlight: 10 });
  const inFlight = async (at: string) => {
    const answer = await fetch(`${at}/v1/quota`, { headers: bearer(key) });
    const { policies } = (await answer.json()) as { policies: Policy[] };
    return 10 - policies[0]!.remaining;
  };
  const bodies = [1, 2, 3].map((seed) => encode({ purpose: "train", ...images(1, seed) }));
  const calls = bodies.map(async (body) => post(url, key, await body));
  const ends = Promise.allSettled(calls);
  await expect.poll(() => inFlight(url)).toBe(3);
  child.kill("SIGTERM");
  expect((await once(child, "close"))[0]).toBe(0);
  expect((await ends).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  expect(complaints).toBe("");
  expect(await inFlight(await urlOf(serve()))).toBe(0); // else until their deadlines
  stalled.closeAllConnections();
  stalled.close();
  write({});
});

test.each<[Record<string, unknown>, string]>([
  [{ teacherUrll: "x" }, 'unknown key "teacherUrll": did you mean "teacherUrl"?'],
  [{ keyPepper: "env:NOT_SET" }, "NOT_SET, which is not set"],
  [{ adminToken: "short" }, "adminToken: must have at least 16 characters"],
  [{ listen: { host: "192.0.2.1" } }, "cannot listen on 192.0.2.1:8787"],
])("a config with %j is refused in one line", async (changed, why) => {
  write(changed);
  const child = serve();
  let told = "";
  child.stderr!.on("data", (chunk) => (told += chunk));
  expect((await once(child, "close"))[0]).toBe(2);
  expect(told).toContain(why);
  expect(told.trim().split("\n")).toHaveLength(1);
  write({});
});
