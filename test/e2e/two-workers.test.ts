import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { encodeRequestHead } from "@funmatch/wire";
import { getRequestListener } from "@hono/node-server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fakeTeacher } from "../edge-gateway/fake-teacher.ts";
import { VARIABLES } from "../edge-gateway/hosts/settings.ts";
import { startTwoGateways, type TwoGateways } from "./two-gateways.ts";

// Two Workers that share Durable Objects count for the same teams and know the same keys.

const teacher = fakeTeacher({ secret: VARIABLES.TEACHER_SECRET, audience: VARIABLES.AUDIENCE });
let server: Server;
let gateways: TwoGateways;

beforeAll(async () => {
  server = createServer(getRequestListener(teacher.fetch));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  gateways = await startTwoGateways({ TEACHER_URL: `http://127.0.0.1:${port}` });
});

afterAll(async () => {
  await gateways?.close();
  server?.closeAllConnections();
  server?.close();
});

const admin = (path: string, method: string, body: unknown) =>
  fetch(gateways.urls[0] + path, {
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
    const answer = await ask(gateways.urls[worker] as string);
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

  await gateways.restart();
  for (const url of gateways.urls) expect((await ask(url)).status).toBe(429);
  expect(teacher.calls).toHaveLength(50);

  // A key that one revokes stops at the other within seconds.
  const standing = () =>
    fetch(`${gateways.urls[1]}/v1/quota`, { headers: { authorization: `Bearer ${key}` } });
  expect((await standing()).status).toBe(200);
  expect((await admin(`/admin/keys/${id}`, "DELETE", undefined)).status).toBe(204);
  await expect.poll(async () => (await standing()).status, { timeout: 10_000, interval: 200 }).toBe(401);
});
