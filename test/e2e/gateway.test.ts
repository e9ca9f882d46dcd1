import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeAnswer, encodeRequestHead, HEADERS, type Purpose } from "@funmatch/wire";
import { getRequestListener } from "@hono/node-server";
import { type LocalGateway, startGateway } from "funmatch-gateway/dev";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FakeTeacher, fakeTeacher } from "../edge-gateway/fake-teacher.ts";

const secret = "shared-by-gateway-and-teacher";
let teacher: FakeTeacher;
let server: Server;
let teacherUrl = "";
let stateDir = "";
let gateway: LocalGateway;
let key = "";

beforeAll(async () => {
  teacher = fakeTeacher({ secret, audience: "funmatch-teacher" });
  server = createServer(getRequestListener(teacher.fetch as (request: Request) => Promise<Response>));
  teacherUrl = await listen(server);
  stateDir = await mkdtemp(join(tmpdir(), "funmatch-gateway-state-"));
  gateway = await startGateway({ teacherUrl, secret, stateDir });
  ({ key } = await gateway.createKey("e2e", ["train", "eval"]));
});

afterAll(async () => {
  await gateway?.close();
  server?.closeAllConnections();
  server?.close();
  await rm(stateDir, { recursive: true, force: true });
});

test("25 MB of training images pass with their length and their hash", async () => {
  const { body, digest } = call("train", 127); // [127,256,256,3]
  expect(body.length).toBeGreaterThan(24_900_000);
  const answer = await post(body);
  expect(answer.status).toBe(200);
  expect(answer.headers.get(HEADERS.cache)).toBe("bypass");
  expect(answer.headers.get(HEADERS.digest)).toBe(digest);
  expect(decodeAnswer(new Uint8Array(await answer.arrayBuffer()))).toMatchObject({
    digest,
    logits: { shape: [127, 3] },
  });
  const seen = teacher.calls.at(-1);
  expect(seen).toMatchObject({ bytes: body.length, digest });
  expect(seen?.headers["content-length"]).toBe(String(body.length));
  expect(seen?.headers["transfer-encoding"]).toBeUndefined();
});

test("evaluation calls are asked once, then answered from the store; large ones pass through", async () => {
  const { body } = call("eval", 8);
  const miss = await post(body);
  expect(miss.headers.get(HEADERS.cache)).toBe("miss");
  const asked = teacher.calls.length;
  const hit = await untilHit(body);
  expect(Buffer.from(await hit.arrayBuffer())).toEqual(Buffer.from(await miss.arrayBuffer()));
  expect(teacher.calls.length).toBe(asked);
  expect((await post(body, { headers: { "cache-control": "no-store" } })).headers.get(HEADERS.cache)).toBe(
    "bypass",
  );
  expect((await post(call("eval", 60).body)).headers.get(HEADERS.cache)).toBe("bypass");
});

test("a refusal reaches a client that is still sending", async () => {
  for (const [model, status] of [
    ["loading", 503],
    ["busy", 429],
  ] as const) {
    const answer = await post(call("train", 127).body, { model });
    expect(answer.status).toBe(status);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(1);
  }
  const wrong = await post(call("train", 127).body, { key: `fm_e2e_${"0".repeat(64)}` });
  expect(wrong.status).toBe(401);
});

test("keys, revocations and answers survive a restart", async () => {
  const { body } = call("eval", 9);
  await untilHit(body);
  const ops = await gateway.createKey("ops", ["admin"]);
  const revoked = await gateway.createKey("e2e", ["eval"]);
  const answer = await fetch(`${gateway.url}/admin/keys/${revoked.id}`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${ops.key}` },
  });
  expect(answer.status).toBe(204);
  const asked = teacher.calls.length;
  await gateway.close();
  gateway = await startGateway({ teacherUrl, secret, stateDir });
  expect((await post(body)).headers.get(HEADERS.cache)).toBe("hit");
  expect((await post(body, { key: revoked.key })).status).toBe(401);
  expect(teacher.calls.length).toBe(asked);
});

test.runIf(process.platform === "linux")(
  "uploads into a teacher that does not read stay out of memory",
  async () => {
    let opened = 0;
    const stalled = createServer(() => void opened++);
    const small = await startGateway({ teacherUrl: await listen(stalled), secret });
    const enough = new AbortController();
    try {
      const { key } = await small.createKey("stalled", ["train"]);
      const { body } = call("train", 127);
      const before = await residentBytes(small.pid);
      const uploads = Array.from({ length: 16 }, () =>
        post(body, { url: small.url, key, signal: enough.signal }).catch(() => undefined),
      );
      while (opened < uploads.length) await new Promise((resolve) => setTimeout(resolve, 20));
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const grown = (await residentBytes(small.pid)) - before;
      console.log(`16 uploads of 25 MB: workerd grew by ${(grown / 2 ** 20).toFixed(0)} MiB`);
      expect(grown).toBeLessThan(128 * 2 ** 20);
      enough.abort();
      await Promise.all(uploads);
    } finally {
      await small.close();
      stalled.closeAllConnections();
      stalled.close();
    }
  },
);

test("a teacher that is away is told so, with a time to come again", async () => {
  const gone = createServer();
  const url = await listen(gone);
  gone.close();
  const small = await startGateway({ teacherUrl: url, secret });
  try {
    const { key } = await small.createKey("lonely", ["train", "eval"]);
    for (const purpose of ["train", "eval"] as const) {
      const answer = await post(call(purpose, 4).body, { url: small.url, key });
      expect(answer.status).toBe(502);
      expect(Number(answer.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
      expect(await answer.json()).toMatchObject({ code: "upstream_unreachable" });
    }
    expect((await fetch(`${small.url}/readyz`)).status).toBe(502);
    expect((await fetch(`${small.url}/healthz`)).status).toBe(200);
  } finally {
    await small.close();
  }
});

/** A logits request for n images of 256 by 256. */
function call(purpose: Purpose, n: number): { body: Uint8Array<ArrayBuffer>; digest: string } {
  const shape = [n, 256, 256, 3];
  const data = Buffer.alloc(n * 256 * 256 * 3, `${purpose} ${n} `);
  const digest = `sha256:${createHash("sha256").update(data).digest("hex")}`;
  return {
    body: Buffer.concat([encodeRequestHead({ purpose, digest, dtype: "uint8", shape }), data]),
    digest,
  };
}

function post(
  body: Uint8Array<ArrayBuffer>,
  o: {
    url?: string;
    key?: string;
    model?: string;
    headers?: Record<string, string>;
    signal?: AbortSignal;
  } = {},
): Promise<Response> {
  return fetch(`${o.url ?? gateway.url}/v1/models/${o.model ?? "prof"}/logits`, {
    method: "POST",
    body,
    signal: o.signal ?? null,
    headers: {
      authorization: `Bearer ${o.key ?? key}`,
      "content-type": "application/vnd.msgpack",
      ...o.headers,
    },
  });
}

/** Sends it until the store, which is written after the answer, has it. */
async function untilHit(body: Uint8Array<ArrayBuffer>): Promise<Response> {
  for (let tries = 0; tries < 50; tries++) {
    const answer = await post(body);
    if (answer.headers.get(HEADERS.cache) === "hit") return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("never a hit");
}

async function listen(on: Server): Promise<string> {
  on.listen(0, "127.0.0.1");
  await once(on, "listening");
  return `http://127.0.0.1:${(on.address() as AddressInfo).port}`;
}

/** Memory of all workerd processes in a process group. */
async function residentBytes(group: number): Promise<number> {
  let pages = 0;
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    const [, name, fields] = /\((.*)\) (.*)/.exec(stat) ?? [];
    if (name !== "workerd" || Number(fields?.split(" ")[2]) !== group) continue;
    pages += Number((await readFile(`/proc/${pid}/statm`, "utf8")).split(" ")[1]);
  }
  return pages * 4096;
}
