import { once } from "node:events";
import { connect } from "node:net";
import { errorSchema, INFERENCE_HEADER, inferAnswerSchema } from "@funmatch/wire/oip";
import { startTeacherService, type TeacherProcess } from "funmatch-teacher/dev";
import { Pool } from "undici";
import { afterAll, beforeAll, expect, test } from "vitest";
import { noise, writeTeacher } from "./tiny-teacher.ts";

/** Bodies that are nearly requests, and clients that stop within one. */

const SIDE = 8;
const PIXELS = SIDE * SIDE * 3;
const PATH = "/v2/models/tiny/infer";
let service: TeacherProcess;
let pool: Pool;

beforeAll(async () => {
  const { configPath } = await writeTeacher({
    extra: "limits: { maxBodyBytes: 4000000, timeoutMs: 10000, queueBytes: 12000000 }",
  });
  service = await startTeacherService(configPath);
  pool = new Pool(service.url, { connections: 16 });
});
afterAll(async () => {
  await pool?.close();
  expect(await service?.close()).toBe(0);
});

const metrics = async () => (await fetch(`${service.url}/metrics`)).text();

interface Body {
  json: string;
  bytes: Uint8Array;
  /** What the header says; absent: no header. */
  told?: number;
}

function bytesBehind(): Body {
  const parameters = { binary_data_size: PIXELS };
  const input = { name: "images", datatype: "UINT8", shape: [1, SIDE, SIDE, 3], parameters };
  const outputs = [{ name: "logits", parameters: { binary_data: true } }];
  const json = JSON.stringify({
    id: "1",
    parameters: { purpose: "eval", timeout: 5_000_000 },
    inputs: [input],
    outputs,
  });
  return { json, bytes: noise(PIXELS), told: json.length };
}

function numbersInside(): Body {
  const data = [...noise(PIXELS)];
  const input = { name: "images", shape: [1, SIDE, SIDE, 3], datatype: "FP32", data };
  return { json: JSON.stringify({ id: "1", inputs: [input] }), bytes: new Uint8Array() };
}

/** Numbers of 0..below-1, the same in each run. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const TOKENS = [
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  "\\",
  "-",
  "1e999",
  "null",
  "true",
  "0",
  "4294967296",
  "-1",
  "1.5",
];
TOKENS.push(
  '"name"',
  '"data"',
  '"inputs":[',
  '"shape":[1,8,8,3]',
  "\u0000",
  "\uffff",
  "9".repeat(300),
  "[".repeat(40),
  " ".repeat(70_000),
);

/** One change of a request, somewhere. */
function mutated(body: Body, random: (below: number) => number): Body {
  const { json, bytes, told } = body;
  const at = random(json.length);
  const token = TOKENS[random(TOKENS.length)]!;
  const again = (changed: string): Body => ({
    ...body,
    json: changed,
    ...(told !== undefined && { told: changed.length }),
  });
  switch (random(8)) {
    case 0:
      return again(json.slice(0, at) + token + json.slice(at));
    case 1:
      return again(json.slice(0, at) + json.slice(at + 1 + random(12)));
    case 2:
      return again(json.slice(0, at) + token + json.slice(at + 1 + random(6)));
    case 3: {
      const from = random(json.length);
      return again(json.slice(0, at) + json.slice(from, from + random(40)) + json.slice(at));
    }
    case 4:
      return {
        ...body,
        bytes: random(2) ? bytes.subarray(0, random(bytes.length + 1)) : noise(PIXELS + 1 + random(9)),
      };
    case 5:
      return { ...body, told: [0, 1, json.length - 1, json.length + 1, 2 ** 40, -1][random(6)]! };
    case 6: {
      const [, number] = /(\d+)/.exec(json.slice(at)) ?? [];
      return number
        ? again(json.slice(0, at) + json.slice(at).replace(number, String(random(300) - 20)))
        : body;
    }
    default:
      return again(json.slice(0, at));
  }
}

async function ask({ json, bytes, told }: Body): Promise<{ status: number; text: string; json: number }> {
  const body = Buffer.concat([Buffer.from(json), bytes]);
  const headers = {
    "content-type": "application/json",
    ...(told !== undefined && { [INFERENCE_HEADER]: String(told) }),
  };
  const answer = await pool.request({ method: "POST", path: PATH, headers, body });
  const end = answer.headers[INFERENCE_HEADER];
  const all = Buffer.from(await answer.body.arrayBuffer());
  return {
    status: answer.statusCode,
    text: all.toString("latin1"),
    json: end === undefined ? all.length : Number(end),
  };
}

test("3,000 changed requests: each is answered or refused in the protocol's form, and nothing is held", async () => {
  const random = dice(20_240_611);
  const seen = new Map<number, number>();
  const one = async () => {
    let body = random(2) ? bytesBehind() : numbersInside();
    for (let changes = 1 + random(2); changes > 0; changes--) body = mutated(body, random);
    const { status, text, json } = await ask(body);
    seen.set(status, (seen.get(status) ?? 0) + 1);
    if (status === 200) inferAnswerSchema.parse(JSON.parse(text.slice(0, json)));
    else {
      expect(errorSchema.parse(JSON.parse(text)).error.length).toBeGreaterThan(5);
      expect([400, 413, 422, 504], text).toContain(status);
    }
  };
  for (let i = 0; i < 3000; i += 16) await Promise.all(Array.from({ length: 16 }, one));
  for (const status of [200, 400, 413, 422])
    expect(seen.get(status) ?? 0, String(status)).toBeGreaterThan(10);
  expect(seen.get(400)!).toBeGreaterThan(1000);
  await expect.poll(metrics).toContain("funmatch_held_bytes 0");
  expect(await metrics()).not.toMatch(/code="internal"\} [1-9]/);
});

test.each([
  ["bytes", bytesBehind()],
  ["numbers", numbersInside()],
])("%s that end early, come byte by byte, or whose client vanishes", async (_, { json, bytes, told }) => {
  const body = Buffer.concat([Buffer.from(json), bytes]);
  const head = (length: number) =>
    `POST ${PATH} HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n` +
    `${told === undefined ? "" : `${INFERENCE_HEADER}: ${told}\r\n`}\r\n`;
  const { hostname, port } = new URL(service.url);
  const dial = async () => {
    const socket = connect(Number(port), hostname).on("error", () => {});
    await once(socket, "connect");
    let heard = "";
    socket.on("data", (chunk) => {
      heard += chunk.toString("latin1");
    });
    return { socket, heard: () => heard };
  };

  const early = await dial();
  early.socket.write(head(body.length));
  early.socket.end(body.subarray(0, body.length - 5));
  await expect.poll(early.heard).toContain("shorter than its content-length");
  expect(early.heard()).toContain('"error":"');

  const slow = await dial();
  slow.socket.setNoDelay(true).write(head(body.length));
  for (const byte of body) {
    slow.socket.write(Uint8Array.of(byte));
    if (byte % 32 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await expect.poll(slow.heard).toContain("HTTP/1.1 200");
  slow.socket.destroy();

  const gone = await dial();
  gone.socket.write(head(body.length));
  gone.socket.write(body.subarray(0, body.length >> 1));
  await expect.poll(metrics).not.toContain("funmatch_held_bytes 0\n");
  gone.socket.destroy();
  await expect.poll(metrics).toContain("funmatch_held_bytes 0\n");
});
