import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { encodeRequestHead, HEADERS } from "@funmatch/wire";
import { getRequestListener } from "@hono/node-server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fakeTeacher } from "../edge-gateway/fake-teacher.ts";
import { VARIABLES } from "../edge-gateway/hosts/settings.ts";
import { startTwoGateways, type TwoGateways } from "./two-gateways.ts";

// Those who ask the same at the same time make one call to the teacher, through whichever Worker they ask.

const teacher = fakeTeacher({ secret: VARIABLES.TEACHER_SECRET, audience: VARIABLES.AUDIENCE });
const ask = getRequestListener(teacher.fetch);
let server: Server;
let gateways: TwoGateways;
let key = "";
/** Logits calls that have come to the teacher, and what lets them be answered. */
let came = 0;
let gate = Promise.withResolvers<void>();

beforeAll(async () => {
  server = createServer(async (request, response) => {
    if (request.url?.endsWith("/logits")) {
      came++;
      await gate.promise;
    }
    return ask(request, response);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  gateways = await startTwoGateways({ TEACHER_URL: `http://127.0.0.1:${port}` });
  const made = await fetch(`${gateways.urls[0]}/admin/keys`, {
    method: "POST",
    headers: { authorization: `Bearer ${VARIABLES.ADMIN_TOKEN}` },
    body: JSON.stringify({ team: "two", scopes: ["eval"] }),
  });
  ({ key } = (await made.json()) as { key: string });
});

afterAll(async () => {
  await gateways?.close();
  server?.closeAllConnections();
  server?.close();
});

function evaluation(fill: string): Uint8Array<ArrayBuffer> {
  const shape = [8, 64, 64, 3];
  const data = Buffer.alloc(8 * 64 * 64 * 3, fill);
  return Buffer.concat([encodeRequestHead({ purpose: "eval", dtype: "uint8", shape }), data]);
}

const post = (worker: 0 | 1, body: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
  fetch(`${gateways.urls[worker]}/v1/models/prof/logits`, {
    method: "POST",
    body,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/vnd.msgpack", ...headers },
  });

test("twelve identical calls over two Workers are one call to the teacher, with the same bytes for all", async () => {
  const body = evaluation("together");
  const calls = Array.from({ length: 12 }, (_, i) => post((i % 2) as 0 | 1, body));
  await expect.poll(() => came).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 500));
  gate.resolve();
  const answers = await Promise.all(calls);
  expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(200));
  const use = answers.map(({ headers }) => headers.get(HEADERS.cache));
  expect(use.toSorted()).toEqual([...Array(11).fill("hit"), "miss"]);
  const [first, ...others] = await Promise.all(answers.map((answer) => answer.arrayBuffer()));
  for (const other of others) expect(Buffer.from(other)).toEqual(Buffer.from(first as ArrayBuffer));
  expect(came).toBe(1);
  for (const worker of [0, 1] as const)
    expect((await post(worker, body)).headers.get(HEADERS.cache)).toBe("hit");
  expect(came).toBe(1);
});

test("whoever asks first and has no time left is followed by one at the other Worker", async () => {
  came = 0;
  gate = Promise.withResolvers();
  const body = evaluation("replaced");
  const hasty = post(0, body, { [HEADERS.timeout]: "2000" });
  await expect.poll(() => came).toBe(1);
  const waiting = post(1, body);
  expect((await hasty).status).toBe(504);
  await expect.poll(() => came, { timeout: 20_000 }).toBe(2);
  gate.resolve();
  const answer = await waiting;
  expect([answer.status, answer.headers.get(HEADERS.cache)]).toEqual([200, "miss"]);
});
