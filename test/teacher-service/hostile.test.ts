import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { MSGPACK_TYPE } from "@funmatch/wire";
import { startTeacherService, type TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bodyOf, logitsOf, metric, post } from "./ask.ts";
import { MAX_BODY, SIDE, TOKEN } from "./hostile/mutants.ts";
import { overload } from "./hostile/overload.ts";
import { soak } from "./hostile/soak.ts";
import { liar, STORMED, storm } from "./hostile/storm.ts";
import { noise, writeTeacher } from "./tiny-teacher.ts";

/** Many clients that mean no good. `node test/long/mutated-bodies-run.ts` sends 100,000 where this sends 3,000. */

const AUTHORIZED = { authorization: `Bearer ${TOKEN}` };
const LOGITS = "/v1/models/tiny/logits";
const good = (count: number) =>
  bodyOf({ pixels: noise(count * SIDE * SIDE * 3), shape: [count, SIDE, SIDE, 3] });
const logitsRequest = (body: Uint8Array) => ({
  path: LOGITS,
  headers: { "content-type": MSGPACK_TYPE, ...AUTHORIZED },
  body: Buffer.from(body),
});

let service: TeacherProcess;
const works = async () => {
  const answer = await post(service.url, good(2), { headers: AUTHORIZED });
  expect(await logitsOf(answer)).toHaveLength(14);
};
const nothingHeld = () =>
  expect.poll(() => metric(service.url, "funmatch_held_bytes"), { timeout: 20_000 }).toBe(0);

beforeAll(async () => {
  const { configPath } = await writeTeacher({ extra: STORMED });
  service = await startTeacherService(configPath);
});
afterAll(async () => {
  expect(await service?.close()).toBe(0);
});

test("3,000 mutated requests: each is refused for what is wrong with it, none fails", async () => {
  const { sent, validPrefix, byCode, wrong } = await storm(service.url, {
    ...{ count: 3000, seed: 1 },
    protocols: ["v1", "v2"],
  });
  expect(wrong).toEqual([]);
  expect(validPrefix).toBeGreaterThan(sent / 2);
  expect(Object.keys(byCode)).toEqual(
    expect.arrayContaining([
      ...["malformed", "unauthenticated", "forbidden", "unknown_model", "not_found", "version_mismatch"],
      ...["length_required", "too_large", "unsupported_media_type"],
      ...["digest_mismatch", "shape_mismatch", "bad_dtype"],
      ...["v2 400", "v2 401", "v2 404", "v2 409", "v2 411", "v2 413", "v2 415", "v2 422"],
    ]),
  );
  await nothingHeld();
  await works();
});

test("bodies one byte longer and shorter than announced, on connections that are half closed", async () => {
  const body = good(1);
  const longer = await liar(service.url, logitsRequest(body), body.length - 1);
  expect(longer).toContain("HTTP/1.1 400");
  const shorter = await liar(service.url, logitsRequest(body), body.length + 1);
  expect(shorter).toContain("HTTP/1.1 400");
  // All of it came, but Node takes a half-closed connection for a client that has gone: nobody is answered. Whether the
  // service had computed it by then is a race, so it is counted as one or the other.
  const ended = async () =>
    (await metric(
      service.url,
      'funmatch_requests_total{model="tiny",team="local",purpose="train",code="ok"',
    )) + (await metric(service.url, "funmatch_hangups_total"));
  const before = await ended();
  expect(await liar(service.url, logitsRequest(body), body.length)).toBe("");
  await expect.poll(ended).toBe(before + 1);
  await works();
  await nothingHeld();
});

test("bytes that are announced and never come keep others out only as long as their connections", async () => {
  expect(await overload(service.url, { token: TOKEN, bodyBytes: MAX_BODY, asks: 20 })).toBe(20);
  await nothingHeld();
  await works();
});

test("1,000 clients that hang up in mid-request: the queue empties, and nothing is computed for them", async () => {
  // Batches of one image, so that the first request keeps the model busy while the others come.
  const { configPath } = await writeTeacher({
    ...{ resolution: 96, batchSizes: [1] },
    extra: "limits: { maxImages: 2000, maxBodyBytes: 64000000 }\nlogLevel: warn",
  });
  const busy = await startTeacherService(configPath);
  const side = 96;
  const images = (count: number) =>
    bodyOf({ pixels: noise(count * side * side * 3), shape: [count, side, side, 3] });
  const LONG = 700;
  const computed = () => metric(busy.url, "funmatch_batch_images_sum");
  const first = post(busy.url, images(LONG));
  await expect.poll(computed, { timeout: 20_000 }).toBeGreaterThan(0);

  const body = Buffer.from(images(1));
  const clients = Array.from({ length: 1000 }, (_, nth) => {
    const asking = request(`${busy.url}${LOGITS}`, {
      ...{ method: "POST", agent: false },
      headers: { "content-type": MSGPACK_TYPE, "content-length": body.length },
    }).on("error", () => {});
    // Every second one in the middle of its body, the others in the queue.
    if (nth % 2 === 0) asking.write(body.subarray(0, 700));
    else asking.end(body);
    return asking;
  });
  const waiting = () => metric(busy.url, "funmatch_waiting_requests");
  await expect.poll(waiting, { timeout: 30_000 }).toBeGreaterThanOrEqual(500);
  const doneBefore = await computed();
  expect(doneBefore).toBeLessThan(LONG);
  for (const client of clients) client.destroy();
  await expect.poll(waiting, { timeout: 10_000 }).toBeLessThanOrEqual(1);
  expect(await logitsOf(await first)).toHaveLength(LONG * 7);
  expect(await computed()).toBe(LONG);
  expect(await metric(busy.url, "funmatch_hangups_total")).toBe(1000);
  await expect.poll(() => metric(busy.url, "funmatch_held_bytes")).toBe(0);
  expect(await busy.close()).toBe(0);
}, 120_000);

describe("connections that say hardly anything", () => {
  test("300 of them: others are answered meanwhile, and they are cut off", async () => {
    const { hostname, port } = new URL(service.url);
    const slow = Array.from({ length: 300 }, () => connect(Number(port), hostname).on("error", () => {}));
    await Promise.all(slow.map((socket) => once(socket, "connect")));
    const closed = slow.map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    const line = `POST ${LOGITS} HTTP/1.1\r\nhost: teacher\r\nx-slow: `;
    let at = 0;
    const drip = setInterval(() => {
      for (const socket of slow) if (!socket.destroyed) socket.write(line[at] ?? "z");
      at++;
    }, 200);
    await Promise.all(Array.from({ length: 20 }, works));
    await Promise.all(closed);
    clearInterval(drip);
    await works();
  }, 60_000);
});

test("mixed load for a quarter of a minute: everybody is answered or refused rightly, nothing is left behind", async () => {
  const found = await soak(service.url, { seconds: 15, everySeconds: 5, pauseMs: 30, seed: 3 });
  expect(found.wrong).toEqual([]);
  expect(found.answered).toBeGreaterThan(50);
  expect(found.hungUp).toBeGreaterThan(0);
  expect(found.held).toBe(0);
  await works();
});
