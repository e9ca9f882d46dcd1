import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeRequestHead } from "@funmatch/wire";
import { getRequestListener } from "@hono/node-server";
import { convertV4MiniflareOptions, Miniflare, type V4MiniflareOptions } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import { fakeTeacher } from "../edge-gateway/fake-teacher.ts";
import { VARIABLES } from "../edge-gateway/hosts/settings.ts";

// Two Workers of one gateway, as `wrangler deploy` bundles it. The second binds the first's Durable Objects by
// `script_name`, so both count for the same teams and know the same keys.

const root = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "funmatch-two-workers-"));
const teacher = fakeTeacher({ secret: VARIABLES.TEACHER_SECRET, audience: VARIABLES.AUDIENCE });
let server: Server;
let workers: Miniflare;
let urls: [string, string];

beforeAll(async () => {
  const built = spawnSync(
    join(root, "node_modules/.bin/wrangler"),
    ["deploy", "--dry-run", "--outdir", scratch, "--config", join(root, "wrangler.toml")],
    { cwd: root, encoding: "utf8", env: { ...process.env, CI: "true", WRANGLER_SEND_METRICS: "false" } },
  );
  expect(built.status, built.stderr).toBe(0);
  server = createServer(getRequestListener(teacher.fetch));
  await once(server.listen(0, "127.0.0.1"), "listening");
  await start();
});

afterAll(async () => {
  await workers?.dispose();
  server?.closeAllConnections();
  server?.close();
  rmSync(scratch, { recursive: true, force: true });
});

async function start(): Promise<void> {
  const { workerOptions: read } = unstable_getMiniflareWorkerOptions(join(root, "wrangler.toml"));
  const { modulesRules: _, ...workerOptions } = read; // for source files; what runs here is one bundle
  const { port } = server.address() as AddressInfo;
  const worker = (name: string) => ({
    ...workerOptions,
    name,
    modules: true,
    rootPath: scratch,
    scriptPath: join(scratch, "worker.js"),
    bindings: { ...VARIABLES, TEACHER_URL: `http://127.0.0.1:${port}` },
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
  });
  const shared = Object.entries(workerOptions.durableObjects ?? {}).map(([binding, object]) => {
    const { className } = object as { className: string };
    return [binding, { className, scriptName: "gateway-a", useSQLite: true }];
  });
  const options = {
    workers: [worker("gateway-a"), { ...worker("gateway-b"), durableObjects: Object.fromEntries(shared) }],
    resourcePersistencePath: join(scratch, "state"),
  };
  workers = new Miniflare(convertV4MiniflareOptions(options as V4MiniflareOptions));
  await workers.ready;
  const url = async (name: string) => (await workers.unsafeGetDirectURL(name)).href.replace(/\/$/, "");
  urls = [await url("gateway-a"), await url("gateway-b")];
}

const admin = (path: string, method: string, body: unknown) =>
  fetch(urls[0] + path, {
    method,
    headers: { authorization: `Bearer ${VARIABLES.ADMIN_TOKEN}` },
    body: JSON.stringify(body),
  });

test("200 calls at once over both let exactly 50 through, and a restart forgets nothing", async () => {
  await admin("/admin/teams", "POST", { team: "shared", quota: { imagesPerMonth: 50 } });
  const made = await admin("/admin/keys", "POST", { team: "shared", scopes: ["train"] });
  const { id, key } = (await made.json()) as { id: string; key: string };
  const data = Buffer.alloc(64 * 64 * 3, "an image");
  const digest = `sha256:${createHash("sha256").update(data).digest("hex")}`;
  const head = encodeRequestHead({ purpose: "train", digest, dtype: "uint8", shape: [1, 64, 64, 3] });
  const body = Buffer.concat([head, data]);
  const ask = (url: string) =>
    fetch(`${url}/v1/models/prof/logits`, {
      method: "POST",
      body,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/vnd.msgpack" },
    });
  const call = async (worker: number) => {
    const answer = await ask(urls[worker] as string);
    await answer.arrayBuffer();
    return answer.status;
  };
  const statuses: number[] = [];
  for (const worker of [0, 1, 0, 1]) statuses.push(await call(worker)); // both have a part in it, whichever is faster
  statuses.push(...(await Promise.all(Array.from({ length: 196 }, (_, i) => call(i % 2)))));
  expect(statuses.slice(0, 4)).toEqual([200, 200, 200, 200]);
  expect(statuses.filter((status) => status === 200)).toHaveLength(50);
  expect(statuses.filter((status) => status === 429)).toHaveLength(150);
  expect(teacher.calls).toHaveLength(50);

  await workers.dispose();
  await start();
  for (const url of urls) expect((await ask(url)).status).toBe(429);
  expect(teacher.calls).toHaveLength(50);

  // A key that one revokes stops at the other within seconds.
  const standing = () => fetch(`${urls[1]}/v1/quota`, { headers: { authorization: `Bearer ${key}` } });
  expect((await standing()).status).toBe(200);
  expect((await admin(`/admin/keys/${id}`, "DELETE", undefined)).status).toBe(204);
  await expect.poll(async () => (await standing()).status, { timeout: 10_000, interval: 200 }).toBe(401);
});
