import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type Card,
  encodeAnswer,
  HEADERS,
  type LogitsAnswer,
  problemResponse,
  type RequestHead,
  readRequestHead,
  sha256,
  WireError,
} from "@funmatch/wire";

export const VERSION = `sha256:${"a".repeat(64)}`;
export const OTHER_VERSION = `sha256:${"b".repeat(64)}`;
export const KEY = "sesame";

/** A logits call as the small teacher received it. */
export interface Received {
  nth: number;
  requestId: string;
  head: RequestHead;
  headers: IncomingMessage["headers"];
  images: Uint8Array;
}

/** What it does instead of answering properly. */
export type Behaviour =
  | WireError // answers this problem
  | "drop" // cuts the connection
  | "hang" // never answers
  | Partial<LogitsAnswer> // answers with these members replaced
  | undefined;

export interface SmallTeacher {
  url: string;
  calls: Received[];
  /** Requests whose client went away before the answer. */
  abandoned: number;
  close(): Promise<void>;
}

/** The logits that it gives: for class k, the sum of its image's bytes k, k + K, k + 2K, … by the image's size */
export function smallLogits(images: Uint8Array, count: number, classes: number): Float32Array {
  const logits = new Float32Array(count * classes);
  const size = images.length / count;
  for (let i = 0; i < images.length; i++) {
    const at = Math.floor(i / size) * classes + ((i % size) % classes);
    logits[at] = (logits[at] as number) + (images[i] as number) / size;
  }
  return logits;
}

/** A teacher on node:http that reads strictly, whose every single behaviour a test can choose. */
export async function smallTeacher(
  o: {
    classes?: number;
    card?: (nth: number) => Partial<Card> | WireError;
    limits?: { maxImages: number; maxBodyBytes: number; timeoutMs: number };
    behave?: (call: Received) => Behaviour | Promise<Behaviour>;
    /** Changes the image bytes on their way, as a broken proxy would. */
    tamper?: (images: Uint8Array) => void;
    /** Does not compare the claimed digest, only tells the one received. */
    credulous?: boolean;
  } = {},
): Promise<SmallTeacher> {
  const classes = o.classes ?? 5;
  const teacher: SmallTeacher = { url: "", calls: [], abandoned: 0, close };
  let cards = 0;

  const card = (): Card => {
    const changed = o.card?.(cards++);
    if (changed instanceof WireError) throw changed;
    const input: Card["input"] = {
      resolution: 4,
      valueRange: [-1, 1],
      channels: 3,
      dtypes: ["uint8"],
      resizes: false,
    };
    return {
      id: "prof",
      version: VERSION,
      classes,
      input,
      maxBatch: 8,
      state: "ready",
      bitStable: true,
      parameters: 1234,
      runtime: { device: "cpu" },
      ...changed,
    };
  };

  async function logits(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const length = Number(request.headers["content-length"] ?? Number.NaN);
    const body = new Uint8Array(Buffer.concat(await request.toArray()));
    const head = readRequestHead(body.subarray(0, 512), length);
    const images = body.subarray(head.dataOffset);
    o.tamper?.(images);
    const digest = await sha256(images);
    const call: Received = {
      nth: teacher.calls.length,
      requestId: String(request.headers[HEADERS.requestId]),
      head,
      headers: request.headers,
      images,
    };
    teacher.calls.push(call);
    const behaviour = await o.behave?.(call);
    if (behaviour instanceof WireError) throw behaviour;
    if (behaviour === "drop") return void request.socket.destroy();
    if (behaviour === "hang") return;
    if (!o.credulous && digest !== head.digest)
      throw new WireError("digest_mismatch", `received ${digest}, claimed was ${head.digest}`);
    const values = smallLogits(images, head.shape[0], classes);
    const answer: LogitsAnswer = {
      model: "prof",
      version: VERSION,
      digest,
      logits: { dtype: "float32", shape: [head.shape[0], classes], data: new Uint8Array(values.buffer) },
      ...behaviour,
    };
    response.setHeader(HEADERS.digest, answer.digest);
    response.setHeader(HEADERS.answeredVersion, answer.version);
    response.end(encodeAnswer(answer));
  }

  const server = createServer(async (request, response) => {
    response.on("close", () => {
      if (!response.writableFinished) teacher.abandoned++;
    });
    try {
      if (request.headers.authorization !== `Bearer ${KEY}`)
        throw new WireError("unauthenticated", "no such key");
      if (request.url === "/v1/models/prof") response.end(JSON.stringify(card()));
      else if (request.url === "/v1/limits")
        response.end(JSON.stringify(o.limits ?? { maxImages: 16, maxBodyBytes: 1 << 20, timeoutMs: 60_000 }));
      else if (request.url === "/v1/models/prof/logits" && request.method === "POST")
        await logits(request, response);
      else throw new WireError("unknown_model", "prof is the only one");
    } catch (error) {
      if (!(error instanceof WireError)) return void response.destroy(error as Error);
      const problem = problemResponse(error);
      response.writeHead(problem.status, Object.fromEntries(problem.headers));
      response.end(await problem.text());
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  teacher.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/models/prof`;

  function close(): Promise<void> {
    server.closeAllConnections();
    return new Promise((closed) => server.close(() => closed()));
  }
  return teacher;
}
