import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { HEADERS } from "@funmatch/wire";
import { startTeacherService } from "funmatch-teacher/dev";
import { expect, onTestFinished, test } from "vitest";
import { bodyOf, post } from "./ask.ts";
import { writeTeacher } from "./tiny-teacher.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const CALLER = "b7ad6b7169203331";
const traceparent = `00-${TRACE}-${CALLER}-01`;
const SECRETS = { TEST_TOKEN: "open-sesame-7c41", TEST_SECRET: "shared-with-the-gateway" };
/** Whose bytes read as text, so that a log that held them would show it. */
const PIXELS = Buffer.from("these-are-pixels".repeat(192));
const body = bodyOf({ pixels: new Uint8Array(PIXELS), shape: [1, 32, 32, 3] });

interface Span {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, unknown> }[];
}

/** A collector that understands OTLP over HTTP, and keeps what it is sent. */
async function startCollector() {
  const spans: Span[] = [];
  const asked: { path: string; headers: IncomingHttpHeaders }[] = [];
  const server = createServer(async (request, response) => {
    asked.push({ path: request.url ?? "", headers: request.headers });
    const sent = (await json(request)) as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] };
    spans.push(...sent.resourceSpans.flatMap((each) => each.scopeSpans.flatMap((scope) => scope.spans)));
    response.setHeader("content-type", "application/json").end("{}");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, asked };
}

async function start(extra: string) {
  const { configPath } = await writeTeacher({ extra });
  const log: string[] = [];
  const service = await startTeacherService(configPath, { env: SECRETS, onLog: (line) => log.push(line) });
  onTestFinished(() => void service.close());
  const lines = () => log.flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : []));
  return { service, log, lines };
}

test("a caller's trace is taken up: spans under his, in his sample, sent to the collector", async () => {
  const collector = await startCollector();
  const { service, lines } = await start(`tracing: { endpoint: "${collector.endpoint}", sampleRatio: 0 }`);
  const ask = (headers: Record<string, string>) => post(service.url, body, { headers });
  const before = Date.now();
  expect((await ask({ traceparent, [HEADERS.requestId]: "traced" })).status).toBe(200);
  expect((await ask({ traceparent, [HEADERS.version]: "another" })).status).toBe(409);
  expect((await ask({})).status).toBe(200); // in nobody's sample
  expect(await service.close()).toBe(0);

  expect(collector.asked[0]!.path).toBe("/v1/traces");
  expect(collector.spans.map((span) => span.name).sort()).toEqual(
    [
      "compute",
      "queue",
      "receive",
      "receive",
      "POST /v1/models/:model/logits",
      "POST /v1/models/:model/logits",
    ].sort(),
  );
  expect(new Set(collector.spans.map((span) => span.traceId))).toEqual(new Set([TRACE]));
  const request = collector.spans.find((span) => tagged(span, "funmatch.request_id") === "traced")!;
  expect(request.parentSpanId).toBe(CALLER);
  expect(tagged(request, "funmatch.model")).toBe("tiny");
  expect(tagged(request, "funmatch.team")).toBe("local");
  expect(tagged(request, "funmatch.images")).toBe(1);
  expect(tagged(request, "http.response.status_code")).toBe(200);
  const parts = collector.spans.filter((span) => span.parentSpanId === request.spanId);
  expect(parts.map((span) => span.name)).toEqual(["receive", "queue", "compute"]);
  // One after the other, within the request, at the time of day that it was.
  const moments = parts.flatMap((span) => [BigInt(span.startTimeUnixNano), BigInt(span.endTimeUnixNano)]);
  expect([...moments].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))).toEqual(moments);
  expect(moments[0]).toBe(BigInt(request.startTimeUnixNano));
  expect(moments.at(-1)! <= BigInt(request.endTimeUnixNano)).toBe(true);
  expect(Math.abs(Number(moments[0]! / 1_000_000n) - before)).toBeLessThan(30_000);
  expect(lines().find((line) => line.requestId === "traced").traceId).toBe(TRACE);
});

test("a collector that is away stops nobody", async () => {
  const { service } = await start('tracing: { endpoint: "http://127.0.0.1:9" }');
  expect((await post(service.url, body)).status).toBe(200);
  expect(await service.close()).toBe(0);
});

test("a log at its most talkative holds no secret and no pixel; every answer says what it took", async () => {
  const collector = await startCollector();
  const { service, log } = await start(`logLevel: debug
tokens: ["env:TEST_TOKEN", "written-in-the-config"]
identity: { secret: "env:TEST_SECRET" }
tracing: { endpoint: "${collector.endpoint}" }`);
  const token = { authorization: `Bearer ${SECRETS.TEST_TOKEN}` };
  const get = (path: string, headers: Record<string, string> = token) =>
    fetch(`${service.url}${path}`, { headers });
  const answers = await Promise.all([
    post(service.url, body, { headers: token }),
    post(service.url, body, { headers: { authorization: "Bearer written-in-the-config" } }),
    post(service.url, body, { headers: { authorization: "Bearer a-mistyped-token" } }),
    post(service.url, body, { headers: { "x-funmatch-identity": "v1.forged-payload.signature" } }),
    post(service.url, body, { headers: { ...token, [HEADERS.version]: "another" } }),
    post(service.url, new Uint8Array(PIXELS), { headers: token }),
    get("/v1/models"),
    get("/v1/models?token=in-the-query"),
    get("/v1/nothing"),
    get("/readyz", {}),
    get("/metrics", {}),
    get("/openapi.json", {}),
  ]);
  expect(answers.map((answer) => answer.status)).toEqual([
    200, 200, 401, 401, 409, 400, 200, 200, 404, 200, 200, 200,
  ]);
  for (const answer of answers)
    expect(answer.headers.get(HEADERS.serverTiming)).toMatch(/total;dur=\d+\.\d$/);
  expect(await service.close()).toBe(0);

  expect(log.filter((line) => line.includes('"msg":"request"')).length).toBe(4);
  expect(log.some((line) => line.includes('"msg":"pass"'))).toBe(true);
  const secrets = [
    ...Object.values(SECRETS),
    "written-in-the-config",
    "mistyped",
    "forged-payload",
    "in-the-query",
  ];
  const pixels = [
    "these-are-pixels",
    PIXELS.toString("base64").slice(0, 24),
    [...PIXELS.subarray(0, 8)].join(","),
  ];
  const told = [log.join("\n"), JSON.stringify([collector.spans, collector.asked])];
  for (const text of told)
    for (const secret of [...secrets, ...pixels]) expect(text.includes(secret), secret).toBe(false);
});

function tagged(span: Span, key: string): unknown {
  const value = span.attributes.find((each) => each.key === key)?.value ?? {};
  return value.stringValue ?? Number(value.intValue);
}
