import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nodePlatform } from "../../../edge-gateway/node.ts";
import { type Listening, listen } from "../../../edge-gateway/serve.ts";
import { readSettings } from "../../../edge-gateway/settings.ts";
import { VARIABLES } from "../hosts/settings.ts";

// What no HTTP client would send, written to the socket by hand.

const stateDir = mkdtempSync(join(tmpdir(), "funmatch-gateway-sockets-"));
const platform = nodePlatform(readSettings({ ...VARIABLES, TEACHER_URL: "http://127.0.0.1:9" }), stateDir);
let gateway: Listening;
beforeAll(async () => {
  gateway = await listen(platform, { host: "127.0.0.1", port: 0 });
});
afterAll(async () => {
  await gateway.close();
  platform.close();
  rmSync(stateDir, { recursive: true });
});

/** All that the gateway answers to these bytes until it closes the connection. */
async function say(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(gateway.url).port), "127.0.0.1");
  socket.write(bytes);
  return text(socket);
}

const POST =
  "POST /v1/models/prof/logits HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/vnd.msgpack\r\n";

test.each([
  ["two lengths", `${POST}content-length: 4\r\ncontent-length: 5\r\n\r\nabcde`],
  ["a length and an encoding", `${POST}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
  ["an encoding that is none", `${POST}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
  ["a length that is no number", `${POST}content-length: +4\r\n\r\nabcd`],
  ["a broken line", `${POST}content-length : 4\r\n\r\nabcd`],
  ["no host", "GET /healthz HTTP/1.1\r\n\r\n"],
  ["very long headers", `${POST}x-long: ${"x".repeat(70_000)}\r\n\r\n`],
  ["no HTTP", "hello\r\n\r\n"],
])("a request with %s is answered once with 400, and the connection closed", async (_, bytes) => {
  const answer = await say(bytes);
  expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
  expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
});

test("it is answered with a problem document", async () => {
  const answer = await say("hello\r\n\r\n");
  expect(answer).toContain("content-type: application/problem+json\r\n");
  expect(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")))).toMatchObject({
    status: 400,
    code: "malformed",
  });
});
