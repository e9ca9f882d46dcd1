import { captureStep, loadEngine } from "@funmatch/engine";
import { bit, bitConfigOf, valueRange, type Weights } from "@funmatch/models";
import { cardSchema, HEADERS, limitsSchema, modelListSchema, signIdentity } from "@funmatch/wire";
import type * as tf from "@tensorflow/tfjs-core";
import { startTeacherService, type TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bodyOf, digestOf, logitsOf, metric as metricOf, post, refusal } from "./ask.ts";
import { noise, writeTeacher } from "./tiny-teacher.ts";

const SIDE = 32;
const PIXELS = SIDE * SIDE * 3;
const TOKEN = { authorization: "Bearer open-sesame" };

let weights: Weights;
let service: TeacherProcess;
const log: string[] = [];

beforeAll(async () => {
  const written = await writeTeacher({
    extra: `tokens: ["env:TEST_TOKEN"]
identity: { secret: "env:TEST_SECRET", audience: tiny-service }
limits: { maxBodyBytes: 8000000, maxImages: 2000, timeoutMs: 20000, queueBytes: 12000000 }`,
  });
  weights = written.weights;
  service = await startTeacherService(written.configPath, {
    env: { TEST_TOKEN: "open-sesame", TEST_SECRET: "shared" },
    onLog: (line) => log.push(line),
  });
});
afterAll(async () => {
  expect(await service?.close()).toBe(0);
  expect(log.join("\n")).not.toMatch(/open-sesame|"shared"/);
});

const ask = (body: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}, signal?: AbortSignal) =>
  post(service.url, body, { headers: { ...TOKEN, ...headers }, signal });
const get = (path: string, headers: Record<string, string> = TOKEN) =>
  fetch(`${service.url}${path}`, { headers });
const images = (count: number, seed = 7) => ({
  pixels: noise(count * PIXELS, seed),
  shape: [count, SIDE, SIDE, 3],
});
/** A request that keeps the model busy for a while. */
const occupy = () => ask(bodyOf(images(2000)));
/** The sum over all labels that are not named. */
const metric = (name: string) => metricOf(service.url, name);

describe("logits", () => {
  test("are those of a captured forward pass, and say of which bytes and version", async () => {
    const sent = images(8);
    const response = await ask(bodyOf(sent), { [HEADERS.requestId]: "my-request" });
    expect(response.headers.get(HEADERS.digest)).toBe(digestOf(sent.pixels));
    expect(response.headers.get(HEADERS.requestId)).toBe("my-request");
    expect(response.headers.get(HEADERS.cache)).toBe("bypass");
    expect(response.headers.get(HEADERS.serverTiming)).toMatch(
      /^queue;dur=[\d.]+, compute;dur=[\d.]+, total;dur=[\d.]+$/,
    );
    const card = cardSchema.parse(await (await get("/v1/models/tiny")).json());
    expect(response.headers.get(HEADERS.answeredVersion)).toBe(card.version);

    await loadEngine();
    const forward = captureStep({
      inputs: { images: { shape: [8, SIDE, SIDE, 3], dtype: "uint8" } },
      state: weights,
      fn: ({ images }, parameters) => ({
        outputs: {
          logits: bit(bitConfigOf(weights))(parameters, valueRange(images as tf.Tensor4D, [-1, 1])).logits,
        },
      }),
    });
    const expected = forward.run({ images: sent.pixels }).logits as Float32Array;
    forward.dispose();
    // Another number of threads may sum in another order.
    const found = await logitsOf(response);
    found.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 4);
    });
  });

  test("are the same bits alone, merged with others, and in a larger request", async () => {
    const all = images(11);
    const single = (i: number) =>
      bodyOf({ pixels: all.pixels.slice(i * PIXELS, (i + 1) * PIXELS), shape: [1, SIDE, SIDE, 3] });
    const alone = await logitsOf(await ask(single(0)));
    const merged = await Promise.all(
      Array.from({ length: 11 }, async (_, i) => logitsOf(await ask(single(i)))),
    );
    const together = await logitsOf(await ask(bodyOf(all)));
    expect(merged.flatMap((row) => [...row])).toEqual([...together]);
    expect([...alone]).toEqual([...merged[0]!]);
    expect(await metric("funmatch_batch_images_count")).toBeGreaterThan(0);
  });

  test("do not depend on how pixels are written: uint8 or float32", async () => {
    const { pixels, shape } = images(5);
    const asFloats = new Uint8Array(Float32Array.from(pixels).buffer);
    const bytes = await logitsOf(await ask(bodyOf({ pixels, shape })));
    const floats = await logitsOf(await ask(bodyOf({ pixels: asFloats, shape, dtype: "float32" })));
    expect([...floats]).toEqual([...bytes]);
  });

  test("of images of another size are those of the resized image", async () => {
    // Twice as large by repetition: the bilinear way back is exact.
    const { pixels, shape } = images(1);
    const twice = new Uint8Array(PIXELS * 4).map((_, i) => {
      const [y, x, c] = [Math.floor(i / (SIDE * 6)), Math.floor(i / 3) % (SIDE * 2), i % 3];
      return pixels[((y >> 1) * SIDE + (x >> 1)) * 3 + c]!;
    });
    const large = await logitsOf(await ask(bodyOf({ pixels: twice, shape: [1, SIDE * 2, SIDE * 2, 3] })));
    expect([...large]).toEqual([...(await logitsOf(await ask(bodyOf({ pixels, shape }))))]);
  });

  test("of evaluation need no digest", async () => {
    expect(await logitsOf(await ask(bodyOf({ ...images(1), purpose: "eval" })))).toHaveLength(7);
  });
});

describe("refusals", () => {
  const body = bodyOf(images(1));
  const none = new Uint8Array(PIXELS);

  test.each<[string, number, string, () => Promise<Response>]>([
    ["a wrong token", 401, "unauthenticated", () => ask(body, { authorization: "Bearer guess" })],
    ["no token", 401, "unauthenticated", () => post(service.url, body)],
    [
      "an unknown model",
      404,
      "unknown_model",
      () => post(service.url, body, { headers: TOKEN, model: "none" }),
    ],
    ["another address", 404, "not_found", () => get("/v1/nothing")],
    [
      "another version",
      409,
      "version_mismatch",
      () => ask(body, { [HEADERS.version]: `sha256:${"0".repeat(64)}` }),
    ],
    [
      "another media type",
      415,
      "unsupported_media_type",
      () => ask(body, { "content-type": "application/json" }),
    ],
    ["a compressed body", 415, "unsupported_media_type", () => ask(body, { "content-encoding": "gzip" })],
    ["a time that is none", 400, "malformed", () => ask(body, { [HEADERS.timeout]: "soon" })],
    ["what is no request", 400, "malformed", () => ask(new TextEncoder().encode("hello"))],
    ["another digest", 422, "digest_mismatch", () => ask(bodyOf({ ...images(1), digest: digestOf(none) }))],
    [
      "too many images",
      413,
      "too_large",
      () => ask(bodyOf({ pixels: noise(2001 * 3), shape: [2001, 1, 1, 3] })),
    ],
    [
      "other channels",
      422,
      "shape_mismatch",
      () => ask(bodyOf({ pixels: noise(1024), shape: [1, 32, 32, 1] })),
    ],
  ])("%s: %i %s", async (_what, status, code, send) => {
    const response = await send();
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.headers.get(HEADERS.requestId)).toBeTruthy();
    expect(await refusal(response)).toEqual([status, code]);
  });

  test("a deadline that passes in the queue costs no computation", async () => {
    const computed = 'funmatch_images_total{model="tiny",team="local",purpose="train"}';
    const dropped = 'funmatch_dropped_images_total{model="tiny",purpose="train",reason="expired"}';
    const before = await metric(computed);
    let rounds = 0;
    // Again where the machine was so slow that the time was up before there was a queue to leave.
    do {
      const busy = occupy();
      await untilBusy();
      const late = await ask(bodyOf(images(3)), { [HEADERS.timeout]: "100" });
      expect(await refusal(late)).toEqual([504, "deadline_exceeded"]);
      expect((await busy).status).toBe(200);
      rounds += 1;
    } while ((await metric(dropped)) === 0);
    expect(await metric(dropped)).toBe(3);
    expect(await metric(computed)).toBe(before + rounds * 2000);
  });

  test("more bytes than the service holds are told when to come back", async () => {
    const busy = [occupy(), occupy(), occupy()];
    const refused = (await Promise.all(busy)).filter((response) => response.status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(Number(refused[0]!.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  test("a client that hangs up leaves the queue", async () => {
    const busy = occupy();
    await untilBusy();
    const before = await metric("funmatch_hangups_total");
    const gone = new AbortController();
    const dropped = ask(bodyOf(images(3)), {}, gone.signal);
    await until(async () => (await metric("funmatch_waiting_requests")) >= 2);
    gone.abort();
    await expect(dropped).rejects.toThrow();
    await until(async () => (await metric("funmatch_hangups_total")) === before + 1);
    expect(await metric("funmatch_waiting_requests")).toBeLessThan(2);
    expect(
      await metric('funmatch_dropped_images_total{model="tiny",purpose="train",reason="given_up"}'),
    ).toBe(3);
    await busy;
    await until(async () => (await metric("funmatch_held_bytes")) === 0);
  });
});

describe("the gateway's signature", () => {
  const sent = images(2);
  const body = bodyOf(sent);
  const sign = (path: string, digest: string) =>
    signIdentity("shared", "POST", path, {
      audience: "tiny-service",
      team: "vision",
      requestId: "r1",
      timestamp: Date.now() / 1000,
      purpose: "train",
      contentLength: body.length,
      digest,
    });

  test("opens the API once, for the request that it was made for", async () => {
    const header = await sign("/v1/models/tiny/logits", digestOf(sent.pixels));
    const send = (identity: string) =>
      post(service.url, body, { headers: { "x-funmatch-identity": identity } });
    expect((await send(header)).status).toBe(200);
    expect(await refusal(await send(header))).toEqual([401, "unauthenticated"]);
    const elsewhere = await sign("/v1/models/other/logits", digestOf(sent.pixels));
    expect(await refusal(await send(elsewhere))).toEqual([401, "unauthenticated"]);
    const otherBytes = await sign("/v1/models/tiny/logits", digestOf(new Uint8Array(1)));
    expect(await refusal(await send(otherBytes))).toEqual([403, "forbidden"]);
    expect(log.join("\n")).toContain('"team":"vision"');
  });
});

describe("what the service tells of itself", () => {
  test("the log names the trace that a caller is in", async () => {
    const trace = "0af7651916cd43dd8448eb211c80319c";
    const send = (requestId: string, traceparent: string) =>
      ask(bodyOf(images(1)), { [HEADERS.requestId]: requestId, traceparent });
    await send("traced", `00-${trace}-b7ad6b7169203331-01`);
    await send("untraced", "00-no-trace");
    const line = (id: string) => log.find((each) => each.includes(`"requestId":"${id}"`)) ?? "{}";
    await until(async () => line("untraced") !== "{}");
    expect(JSON.parse(line("traced"))).toHaveProperty("traceId", trace);
    expect(JSON.parse(line("untraced"))).not.toHaveProperty("traceId");
  });

  test("cards, limits, health, readiness and metrics", async () => {
    const { models } = modelListSchema.parse(await (await get("/v1/models")).json());
    expect(models[0]).toMatchObject({ id: "tiny", classes: 7, state: "ready", bitStable: true, maxBatch: 8 });
    expect(limitsSchema.parse(await (await get("/v1/limits")).json())).toEqual({
      maxBodyBytes: 8_000_000,
      maxImages: 2000,
      timeoutMs: 20_000,
    });
    expect((await get("/v1/limits", {})).status).toBe(401);
    expect((await get("/healthz", {})).status).toBe(200);
    expect((await get("/readyz", {})).status).toBe(200);
    const metrics = await (await get("/metrics", {})).text();
    expect(metrics).toMatch(
      /funmatch_requests_total\{model="tiny",team="local",purpose="train",code="ok"\} \d+/,
    );
    expect(metrics).toContain('funmatch_images_total{model="tiny",team="vision",purpose="train"} 2\n');
    expect(metrics).toMatch(/funmatch_queue_seconds_count\{model="tiny",team="vision",purpose="train"\} 1\n/);
    expect(metrics).toMatch(/funmatch_event_loop_delay_seconds\{quantile="0.99"\} [\d.e-]+\n/);
    expect(metrics).toContain('funmatch_refusals_total{code="digest_mismatch"} 1');
    expect(metrics).toContain('funmatch_refusals_total{code="unauthenticated"}');
  });
});

const untilBusy = () => until(async () => (await metric("funmatch_waiting_requests")) > 0);

async function until(true_: () => Promise<boolean>): Promise<void> {
  while (!(await true_())) await new Promise((resolve) => setTimeout(resolve, 5));
}
