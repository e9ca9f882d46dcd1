import { decodeAnswer, HEADERS, type Purpose, sha256 } from "@funmatch/wire";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { host } from "#host";
import { createApp } from "../../edge-gateway/app.ts";
import { encode, images, logitsRequest, makeKey, post, problem } from "./client.ts";

let key = "";
afterEach(() => vi.unstubAllGlobals());
beforeAll(async () => {
  ({ key } = await makeKey({ team: "mishaps", scopes: ["train", "eval"] }));
});

/** The platform without what stands between the tests and the Worker, so that parts of it can be replaced. */
const platform = () => host.platform();

/** A call whose client sends only the first bytes, and waits. */
async function stalledCall(body: Uint8Array<ArrayBuffer>, sent: number, timeoutMs: number, who = key) {
  const { readable, writable } = platform().pipe(body.length);
  const request = logitsRequest(who, readable, { length: body.length });
  request.headers.set(HEADERS.timeout, String(timeoutMs));
  const answer = createApp().fetch(request, platform());
  await writable.getWriter().write(body.subarray(0, sent));
  return { answer };
}

describe("a client that stops sending is told when its time is up", () => {
  test.each<[string, Purpose, number]>([
    ["within the head", "train", 20],
    ["within the images of a training call", "train", 1000],
    ["within the images of an evaluation call", "eval", 1000],
  ])("%s", async (_where, purpose, sent) => {
    const body = await encode({ purpose, ...images(100, 1) });
    const started = Date.now();
    const { answer } = await stalledCall(body, sent, 300);
    expect(await problem(await answer)).toMatchObject({ status: 504, code: "deadline_exceeded" });
    expect(Date.now() - started).toBeLessThan(9000); // and not after the patience with a refused body
  });
});

test("a client that is refused, and stops sending, is told within its time", async () => {
  const trainer = await makeKey({ team: "mishaps", scopes: ["train"] });
  const evaluation = await encode({ purpose: "eval", ...images(100, 1) });
  const noMessage = new Uint8Array(evaluation.length);
  for (const [body, status] of [
    [evaluation, 403],
    [noMessage, 400],
  ] as const) {
    const started = Date.now();
    const { answer } = await stalledCall(body, 1000, 300, trainer.key);
    expect((await answer).status).toBe(status);
    expect(Date.now() - started).toBeLessThan(9000);
  }
});

test("evaluation calls that would not fit into memory beside others are streamed", async () => {
  const shape = [1, 1650, 1650, 3]; // 8,167,500 bytes: eight of them are nearly 64 MiB
  const large = await encode({ purpose: "eval", shape, data: new Uint8Array(1650 * 1650 * 3) });
  const stalled = await Promise.all(Array.from({ length: 8 }, () => stalledCall(large, 512, 2000)));
  const other = await encode({ purpose: "eval", shape: [1, 900, 900, 3], data: new Uint8Array(2_430_000) });
  const use = async () =>
    (await createApp().fetch(logitsRequest(key, other), platform())).headers.get(HEADERS.cache);
  await expect.poll(use).toBe("bypass");
  for (const call of stalled) expect((await call.answer).status).toBe(504);
  expect(await use()).toBe("miss");
});

test("a store that fails costs no answer", async () => {
  const logged = vi.spyOn(console, "error").mockReturnValue();
  const broken = () => Promise.reject(new Error("KV is away"));
  const body = await encode({ purpose: "eval", ...images(2, 2) });
  const answers = { get: broken, put: broken };
  const answer = await createApp().fetch(logitsRequest(key, body), { ...platform(), answers });
  expect(answer.headers.get(HEADERS.cache)).toBe("miss");
  expect(decodeAnswer(new Uint8Array(await answer.arrayBuffer())).logits.shape).toEqual([2, 3]);
  expect(logged).toHaveBeenCalledTimes(2);
  logged.mockRestore();
});

describe("a teacher", () => {
  test("whose answer breaks off is unreachable", async () => {
    const body = await encode({ purpose: "eval", ...images(1, 3) });
    const request = logitsRequest(key, body);
    const version = `sha256:${"0".repeat(64)}`;
    request.headers.set(HEADERS.version, version);
    const digest = await sha256(images(1, 3).data);
    vi.stubGlobal("fetch", async () => {
      const pull = (stream: ReadableStreamDefaultController) => stream.error(new Error("gone"));
      return new Response(new ReadableStream({ pull }), { headers: { [HEADERS.digest]: digest } });
    });
    const answer = await createApp().fetch(
      request,
      host.platform({ TEACHER_URL: `${host.teacher}/origin-mishap` }),
    );
    expect(answer.headers.get("retry-after")).toBe("2");
    expect(await problem(answer)).toMatchObject({ status: 502, code: "upstream_unreachable" });
  });

  test("that has to load the model first is waited for", async () => {
    const answer = await post(key, await encode({ purpose: "eval", ...images(1, 4) }), { model: "unloaded" });
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(await problem(answer)).toMatchObject({ status: 503, code: "loading" });
  });

  test("that could not load the model is not waited for", async () => {
    const answer = await post(key, await encode({ purpose: "eval", ...images(1, 4) }), { model: "failed" });
    expect(await problem(answer)).toMatchObject({ status: 500, code: "internal" });
  });
});
