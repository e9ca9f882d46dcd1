import { decodeAnswer, HEADERS, sha256 } from "@funmatch/wire";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { host } from "#host";
import { createApp } from "../../edge-gateway/app.ts";
import { encode, images, logitsRequest, makeKey, post, problem, seen } from "./client.ts";

let key = "";
afterEach(() => vi.unstubAllGlobals());
beforeAll(async () => {
  ({ key } = await makeKey({ team: "train", scopes: ["train", "eval"] }));
});

describe("a training call", () => {
  test("reaches the teacher byte for byte, with its length, and the answer comes back as it is", async () => {
    const batch = images(4000, 1); // 768 kB, many chunks
    const body = await encode({ purpose: "train", ...batch });
    const answer = await post(key, body, { headers: { [HEADERS.requestId]: "step-17" } });
    expect(answer.status).toBe(200);
    const digest = await sha256(batch.data);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "content-type": "application/vnd.msgpack",
      "cache-control": "no-store",
      "server-timing": "queue;dur=1, compute;dur=2, total;dur=3",
      [HEADERS.digest]: digest,
      [HEADERS.cache]: "bypass",
      [HEADERS.requestId]: "step-17",
    });
    const { logits, version } = decodeAnswer(new Uint8Array(await answer.arrayBuffer()));
    expect(logits.shape).toEqual([4000, 3]);
    expect(answer.headers.get(HEADERS.answeredVersion)).toBe(version);
    const call = (await seen("train")).at(-1);
    expect(call).toMatchObject({ bytes: body.length, digest, model: "prof" });
    expect(call?.headers["content-length"]).toBe(String(body.length));
    expect(call?.headers["transfer-encoding"]).toBeUndefined();
    expect(call?.identity).toMatchObject({ requestId: "step-17", contentLength: body.length, digest });
  });

  test("is never stored: the same call asks the teacher again", async () => {
    const body = await encode({ purpose: "train", ...images(2, 2) });
    const before = (await seen("train")).length;
    for (const _ of [1, 2]) expect((await post(key, body)).headers.get(HEADERS.cache)).toBe("bypass");
    expect((await seen("train")).length).toBe(before + 2);
  });

  test("gets a request id if it has none", async () => {
    const answer = await post(key, await encode({ purpose: "train", ...images(1, 4) }));
    const id = answer.headers.get(HEADERS.requestId);
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect((await seen("train")).at(-1)?.identity.requestId).toBe(id);
  });

  test("hands on the pin and what is left of its time", async () => {
    const body = await encode({ purpose: "train", ...images(1, 5) });
    const pin = await sha256(new TextEncoder().encode("prof 1"));
    await post(key, body, { headers: { [HEADERS.version]: pin, [HEADERS.timeout]: "9000" } });
    const headers = (await seen("train")).at(-1)?.headers;
    expect(headers?.[HEADERS.version]).toBe(pin);
    expect(Number(headers?.[HEADERS.timeout])).toBeGreaterThan(5000);
    expect(Number(headers?.[HEADERS.timeout])).toBeLessThanOrEqual(9000);
    const other = await sha256(new Uint8Array(1));
    const mismatch = await post(key, body, { headers: { [HEADERS.version]: other } });
    expect(await problem(mismatch)).toMatchObject({ status: 409, code: "version_mismatch" });
  });

  test("takes the client's trace along, if it is one", async () => {
    const body = await encode({ purpose: "train", ...images(1, 9) });
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await post(key, body, { headers: { traceparent, tracestate: "vendor=value" } });
    const told = { traceparent, tracestate: "vendor=value" };
    expect((await seen("train")).at(-1)?.headers).toMatchObject(told);
    await post(key, body, { headers: { ...told, traceparent: "none" } });
    const headers = (await seen("train")).at(-1)?.headers;
    expect([headers?.traceparent, headers?.tracestate]).toEqual([undefined, undefined]);
  });

  test("that the teacher answers for other images is answered with 502", async () => {
    const answer = await post(key, await encode({ purpose: "train", ...images(1, 6) }), { model: "liar" });
    expect(await problem(answer)).toMatchObject({ status: 502, code: "digest_mismatch" });
  });

  test("whose images are not those it claims is refused by the teacher, and the refusal handed on", async () => {
    const body = await encode({ purpose: "train", ...images(1, 7), digest: await sha256(new Uint8Array(1)) });
    expect(await problem(await post(key, body))).toMatchObject({ status: 422, code: "digest_mismatch" });
  });

  test.each([
    ["loading", 503, "loading", "7"],
    ["busy", 429, "overloaded", "3"],
  ])("to a teacher that is %s is told when to come again", async (model, status, code, wait) => {
    const answer = await post(key, await encode({ purpose: "train", ...images(1, 8) }), { model });
    expect(answer.headers.get("retry-after")).toBe(wait);
    expect(answer.headers.get(HEADERS.requestId)).not.toBeNull();
    expect(await problem(answer)).toMatchObject({ status, code });
  });

  test("that is not answered in time is answered with 504", async () => {
    const body = await encode({ purpose: "train", ...images(1, 9) });
    const answer = await post(key, body, { model: "slow", headers: { [HEADERS.timeout]: "200" } });
    expect(await problem(answer)).toMatchObject({ status: 504, code: "deadline_exceeded" });
  });
});

test("a client that goes away takes its call to the teacher with it", async () => {
  const asked = Promise.withResolvers<AbortSignal>();
  vi.stubGlobal("fetch", ({ pathname }: URL, { signal }: { signal: AbortSignal }) => {
    if (pathname.endsWith("/logits")) asked.resolve(signal); // and not a look at the teacher
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  });
  const client = new AbortController();
  const body = await encode({ purpose: "train", ...images(1, 12) });
  const request = logitsRequest(key, body, { signal: client.signal });
  const answer = createApp().fetch(request, host.platform());
  const toTeacher = await asked.promise;
  expect(toTeacher.aborted).toBe(false);
  client.abort();
  expect(toTeacher.aborted).toBe(true);
  await answer;
});

describe("a call that is wrong", () => {
  test.each([
    ["has no length", 411, "length_required", { chunked: true }],
    [
      "has another media type",
      415,
      "unsupported_media_type",
      { headers: { "content-type": "application/json" } },
    ],
    ["is compressed", 415, "unsupported_media_type", { headers: { "content-encoding": "gzip" } }],
    ["names an encoding", 415, "unsupported_media_type", { headers: { "content-encoding": "identity" } }],
    ["is no message", 400, "malformed", { body: new TextEncoder().encode("no msgpack") }],
    ["is empty", 400, "malformed", { body: new Uint8Array(0) }],
    ["asks for no time", 400, "malformed", { headers: { [HEADERS.timeout]: "0" } }],
    ["pins no version", 400, "malformed", { headers: { [HEADERS.version]: "1" } }],
    ["has an unprintable id", 400, "malformed", { headers: { [HEADERS.requestId]: "a b" } }],
  ])("because it %s is refused before the teacher hears of it", async (_, status, code, wrong) => {
    const { chunked, headers, body } = wrong as {
      chunked?: true;
      headers?: Record<string, string>;
      body?: Uint8Array;
    };
    const before = (await seen("train")).length;
    const right = body ?? (await encode({ purpose: "train", ...images(1, 10) }));
    const sent = chunked
      ? new Blob([right as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new TransformStream())
      : right;
    const answer = await post(key, sent as BodyInit, { headers });
    expect(await problem(answer)).toMatchObject({ status, code });
    expect((await seen("train")).length).toBe(before);
  });

  test("because it is larger than the gateway takes is told the limit", async () => {
    const body = new Uint8Array(100_000_001);
    expect(await problem(await post(key, body))).toMatchObject({ status: 413, code: "too_large" });
  });
});
