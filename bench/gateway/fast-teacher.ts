/** A teacher that hashes what it is sent, as all must, and computes nothing: what is left is the way. In a process of its own. */
import { createHash, type Hash } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type Card,
  encodeAnswer,
  HEADERS,
  type Limits,
  MSGPACK_TYPE,
  type RequestHead,
  readRequestHead,
} from "@funmatch/wire";

const CLASSES = 10;
const VERSION = `sha256:${"a".repeat(64)}`;
const card: Card = {
  ...{ id: "prof", version: VERSION, classes: CLASSES, maxBatch: 512, state: "ready", bitStable: true },
  input: { resolution: 64, valueRange: [-1, 1], channels: 3, dtypes: ["uint8"], resizes: true },
  ...{ parameters: 1, runtime: { engine: "none" } },
};
const limits: Limits = { maxImages: 4096, maxBodyBytes: 100_000_000, timeoutMs: 100_000 };

const server = createServer(async (request, response) => {
  if (request.method !== "POST") {
    const answers = { "/v1/models": { models: [card] }, "/v1/models/prof": card, "/v1/limits": limits };
    const answer = answers[request.url as keyof typeof answers] ?? { status: "ready" };
    response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
    return;
  }
  const { head, digest } = await hashed(request).catch(() => ({ head: undefined, digest: "" }));
  if (head === undefined) return void response.destroy();
  const images = head.shape[0];
  const logits = {
    dtype: "float32",
    shape: [images, CLASSES],
    data: new Uint8Array(images * CLASSES * 4),
  } as const;
  const answer = encodeAnswer({
    model: "prof",
    version: VERSION,
    digest,
    logits: { ...logits, shape: [images, CLASSES] },
  });
  response
    .writeHead(200, {
      "content-type": MSGPACK_TYPE,
      "content-length": answer.length,
      [HEADERS.digest]: digest,
      [HEADERS.answeredVersion]: VERSION,
    })
    .end(answer);
});
server.requestTimeout = 0;
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));

/** Hashes while it comes in. */
async function hashed(request: IncomingMessage): Promise<{ head: RequestHead; digest: string }> {
  const length = Number(request.headers["content-length"]);
  let start: Buffer | undefined = Buffer.alloc(0);
  let head: RequestHead | undefined;
  const hash: Hash = createHash("sha256");
  for await (const chunk of request as AsyncIterable<Buffer>) {
    if (head !== undefined) {
      hash.update(chunk);
      continue;
    }
    start = Buffer.concat([start!, chunk]);
    if (start.length < Math.min(512, length)) continue;
    head = readRequestHead(start, length);
    hash.update(start.subarray(head.dataOffset));
    start = undefined;
  }
  if (head === undefined) throw new Error("the body ended early");
  return { head, digest: `sha256:${hash.digest("hex")}` };
}
