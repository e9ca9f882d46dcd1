import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { encodeRequestHead, HEAD_BYTES, type RequestHead, readRequestHead } from "@funmatch/wire";
import { describe, expect, test, vi } from "vitest";
import { gather } from "../../teacher-service/forward/gather.ts";
import { type Received, receive } from "../../teacher-service/request/body.ts";
import { giveImageMemory, takeImageMemory } from "../../teacher-service/request/image-memory.ts";
import { digestOf } from "./ask.ts";
import { noise } from "./tiny-teacher.ts";

const SHAPE = [8, 64, 64, 3] as const;
const pixels = noise(8 * 64 * 64 * 3);

/** Sends the pixels to a server that receives them as the service does. */
async function received(): Promise<Received<RequestHead>> {
  const { promise, resolve, reject } = Promise.withResolvers<Received<RequestHead>>();
  const server = createServer((incoming, outgoing) => {
    const length = Number(incoming.headers["content-length"]);
    const beginning = { bytes: HEAD_BYTES, read: (start: Uint8Array) => readRequestHead(start, length) };
    receive(incoming, length, beginning, () => {}, AbortSignal.timeout(20_000))
      .then(resolve, reject)
      .finally(() => outgoing.end());
  }).listen(0, "127.0.0.1");
  await new Promise((listening) => server.once("listening", listening));
  const head = encodeRequestHead({
    purpose: "train",
    digest: digestOf(pixels),
    dtype: "uint8",
    shape: [...SHAPE],
  });
  const headers = { "content-length": head.length + pixels.length };
  const { port } = server.address() as AddressInfo;
  const asked = request({ port, method: "POST", headers, agent: false }).on("error", reject);
  asked.write(head);
  asked.end(pixels);
  return promise.finally(() => server.close());
}

describe("the bytes of a request's images", () => {
  test("are written once on their way from the socket to the engine", async () => {
    const set = vi.spyOn(Uint8Array.prototype, "set");
    const { data } = await received();
    // What went into memory that threads share: each byte once.
    const written = set.mock.calls
      .filter((_, i) => (set.mock.contexts[i] as Uint8Array).buffer === data.buffer)
      .reduce((sum, [bytes]) => sum + bytes.length, 0);
    set.mockRestore();
    expect(written).toBe(pixels.length);
    expect(Buffer.from(data).equals(pixels)).toBe(true);

    const images = { dtype: "uint8" as const, shape: SHAPE, data };
    const pass = { size: 8, slices: [{ images, from: 0, count: 8 }] };
    const batch = gather(pass, { resolution: 64, resize: "none" });
    expect(batch.buffer).toBe(data.buffer);
    expect(batch.byteOffset).toBe(data.byteOffset);
  });

  test("lie in memory that a later request of their size gets again", () => {
    const first = takeImageMemory(1234);
    giveImageMemory(first);
    expect(takeImageMemory(1235)).not.toBe(first);
    expect(takeImageMemory(1234)).toBe(first);
    expect(takeImageMemory(1234)).not.toBe(first);
  });

  test("do not pile up: 64 MiB are kept at most", () => {
    const memories = Array.from({ length: 70 }, () => takeImageMemory(2 ** 20));
    for (const memory of memories) giveImageMemory(memory);
    const again = memories.map(() => takeImageMemory(2 ** 20));
    expect(again.filter((memory) => memories.includes(memory))).toHaveLength(64);
    giveImageMemory(takeImageMemory(65 * 2 ** 20));
    expect(takeImageMemory(2 ** 20)).toHaveLength(2 ** 20);
  });
});
