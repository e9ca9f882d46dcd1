/**
 * The clients of `bench/serve`, in a process of their own so that their processor time is theirs: each keeps one
 * connection and asks again as soon as it is answered.
 */
import { createHash } from "node:crypto";
import { Agent, request } from "node:http";
import { decodeAnswer, encodeRequestHead, floats, MSGPACK_TYPE } from "@funmatch/wire";

/** How a server is asked. */
export type Protocol = "funmatch" | "bytes" | "v2";

/** What a process of clients is told; it answers {@link LoadAnswer} to each. */
export interface LoadOrder {
  url: string;
  protocol: Protocol;
  shape: [number, number, number, number];
  /** Base64. */
  pixels: string;
  clients: number;
  warmUpSeconds: number;
  seconds: number;
}

export interface LoadAnswer {
  /** Requests that were answered after the first `warmUpSeconds`, and the seconds in which they were. */
  answered: number;
  seconds: number;
  /** Of those requests, in ms. */
  latencies: number[];
  /** All that were asked, warm-up too. */
  requests: number;
  /** Processor time of this process for all of them. */
  cpuSeconds: number;
  /** Of the first answer. */
  logits: number[];
}

process.on("message", async (order: LoadOrder) => {
  process.send?.(await load(order));
});

async function load(order: LoadOrder): Promise<LoadAnswer> {
  const agent = new Agent({ keepAlive: true, maxSockets: order.clients });
  const message = messageOf(order);
  const cpu = process.cpuUsage();
  const first = logitsOf(order.protocol, await post(agent, order.url, message));
  const done: { at: number; ms: number }[] = [];
  const start = performance.now();
  const measured = start + order.warmUpSeconds * 1000;
  const end = measured + order.seconds * 1000;
  const client = async () => {
    while (performance.now() < end) {
      const asked = performance.now();
      await post(agent, order.url, message);
      done.push({ at: performance.now(), ms: performance.now() - asked });
    }
  };
  await Promise.all(Array.from({ length: order.clients }, client));
  agent.destroy();
  const { user, system } = process.cpuUsage(cpu);
  // From one answer to another, so that no part of a forward pass counts for nothing.
  const before = done.filter(({ at }) => at <= measured).at(-1)?.at ?? start;
  const counted = done.filter(({ at }) => at > before && at <= end);
  return {
    answered: counted.length,
    seconds: ((counted.at(-1)?.at ?? end) - before) / 1000,
    latencies: counted.map(({ ms }) => ms),
    requests: done.length + 1,
    cpuSeconds: (user + system) / 1e6,
    logits: [...first],
  };
}

interface Message {
  headers: Record<string, string>;
  parts: Uint8Array[];
}

function messageOf({ protocol, shape, pixels: text }: LoadOrder): Message {
  const pixels = Buffer.from(text, "base64");
  if (protocol === "bytes") return { headers: { "content-type": "application/x-pixels" }, parts: [pixels] };
  if (protocol === "v2") {
    const input = {
      name: "pixels",
      shape,
      datatype: "UINT8",
      parameters: { binary_data_size: pixels.length },
    };
    const head = Buffer.from(JSON.stringify({ inputs: [input], parameters: { binary_data_output: true } }));
    const headers = {
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(head.length),
    };
    return { headers, parts: [head, pixels] };
  }
  const digest = `sha256:${createHash("sha256").update(pixels).digest("hex")}`;
  const head = encodeRequestHead({ purpose: "train", digest, dtype: "uint8", shape });
  return { headers: { "content-type": MSGPACK_TYPE }, parts: [head, pixels] };
}

function logitsOf(protocol: Protocol, { body, headBytes }: Reply): Float32Array {
  if (protocol === "funmatch") return floats(decodeAnswer(new Uint8Array(body)).logits.data);
  return new Float32Array(new Uint8Array(body.subarray(headBytes)).buffer);
}

interface Reply {
  body: Buffer;
  /** Of the Open Inference Protocol: what comes before the tensors. */
  headBytes: number;
}

async function post(agent: Agent, url: string, { headers, parts }: Message): Promise<Reply> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const asked = request(url, {
    agent,
    method: "POST",
    headers: { ...headers, "content-length": String(length) },
  });
  asked.on("error", reject).on("response", (response) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", reject);
    response.on("end", () => {
      const body = Buffer.concat(chunks);
      const headBytes = Number(response.headers["inference-header-content-length"] ?? 0);
      if (response.statusCode === 200) resolve({ body, headBytes });
      else reject(new Error(`${url} answered ${response.statusCode}: ${body.toString("utf8", 0, 300)}`));
    });
  });
  for (const part of parts) asked.write(part);
  asked.end();
  return promise;
}
