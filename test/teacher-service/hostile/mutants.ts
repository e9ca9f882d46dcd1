import { createHash } from "node:crypto";
import { draws } from "@funmatch/views";
import { MSGPACK_TYPE, signIdentity } from "@funmatch/wire";
import { bodyOf, digestOf } from "../ask.ts";
import { noise } from "../tiny-teacher.ts";

/** What a hostile service under test lets in; the models are 32 px BiTs. */
export const TOKEN = "open-sesame";
export const SECRET = "shared";
export const AUDIENCE = "tiny-service";
export const SIDE = 32;
export const MAX_BODY = 200_000;
export const MAX_IMAGES = 40;

/** A request that somebody who means no good may send. */
export interface Mutant {
  kind: string;
  path: string;
  headers: Record<string, string>;
  body: Buffer;
  /** Whether the body begins as a good one does: past its head, as far as the reader looks before the pixels. */
  validPrefix: boolean;
  /** The code that must come back; absent where any answer but a 5xx is right, as after random damage. */
  code?: string;
}

/** Uniform draws in [0, 1) of one mutant. */
type Draw = () => number;

/** A good request in one of the protocols, and where its pixels begin. */
interface Good {
  path: string;
  headers: Record<string, string>;
  body: Buffer;
  pixelsAt: number;
}

const AUTHORIZED = { authorization: `Bearer ${TOKEN}` };
const PIXELS = noise(4 * SIDE * SIDE * 3);

/** Logits requests of 1 to 4 images, train or eval, uint8 or float32. */
function goodLogits(draw: Draw): Good {
  const count = 1 + Math.floor(draw() * 4);
  const bytes = PIXELS.slice(0, count * SIDE * SIDE * 3);
  const float = draw() < 0.2;
  const pixels = float ? new Uint8Array(Float32Array.from(bytes).buffer) : bytes;
  const body = Buffer.from(
    bodyOf({
      ...{ pixels, shape: [count, SIDE, SIDE, 3], dtype: float ? "float32" : "uint8" },
      purpose: draw() < 0.5 ? "train" : "eval",
    }),
  );
  return {
    path: "/v1/models/tiny/logits",
    headers: { "content-type": MSGPACK_TYPE, ...AUTHORIZED },
    body,
    pixelsAt: body.length - pixels.length,
  };
}

/** Open Inference Protocol requests: JSON alone (one small image in numbers), or a JSON header and bytes. */
function goodInference(draw: Draw): Good {
  const binary = draw() < 0.8;
  const count = binary ? 1 + Math.floor(draw() * 4) : 1;
  const pixels = PIXELS.subarray(0, count * SIDE * SIDE * 3);
  const input = { name: "images", datatype: "UINT8", shape: [count, SIDE, SIDE, 3] };
  const rest = {
    id: `hostile-${Math.floor(draw() * 1000)}`,
    outputs: [{ name: "logits", parameters: { binary_data: draw() < 0.5 } }],
    ...(draw() < 0.5 ? { parameters: { purpose: "eval" } } : {}),
  };
  const inputs = [
    binary ? { ...input, parameters: { binary_data_size: pixels.length } } : { ...input, data: [...pixels] },
  ];
  const header = Buffer.from(JSON.stringify({ ...rest, inputs }));
  return {
    path: "/v2/models/tiny/infer",
    headers: {
      ...AUTHORIZED,
      "content-type": binary ? "application/octet-stream" : "application/json",
      ...(binary ? { "inference-header-content-length": String(header.length) } : {}),
    },
    body: binary ? Buffer.concat([header, pixels]) : header,
    pixelsAt: binary ? header.length : header.indexOf('"data":') + 8,
  };
}

/** A body changed in its bytes from a random place on. */
function damaged(kind: string, good: Good, draw: Draw): Mutant {
  const spared = draw() < 0.6 ? good.pixelsAt : 0;
  const body = damage(good.body, spared, draw);
  return { kind, ...good, body, validPrefix: spared > 0 && body.length >= spared };
}

const INTERESTING = [0x00, 0x7f, 0x80, 0x90, 0xc0, 0xc1, 0xc4, 0xc6, 0xcf, 0xd9, 0xdb, 0xdf, 0xff];

/** Flips, cuts, repeats, inserts or overwrites some bytes at or after `from`. */
function damage(good: Buffer, from: number, draw: Draw): Buffer {
  const at = from + Math.floor(draw() * (good.length - from));
  const length = 1 + Math.floor(draw() ** 3 * Math.min(good.length - at, 2000));
  const [before, hit, after] = [
    good.subarray(0, at),
    good.subarray(at, at + length),
    good.subarray(at + length),
  ];
  const random = () =>
    Buffer.from(Array.from({ length: Math.min(length, 300) }, () => Math.floor(draw() * 256)));
  const ways: (() => Buffer[])[] = [
    () => [before, Buffer.from([(hit[0] ?? 0) ^ (1 << Math.floor(draw() * 8))]), good.subarray(at + 1)],
    () => [
      before,
      Buffer.from([INTERESTING[Math.floor(draw() * INTERESTING.length)]!]),
      good.subarray(at + 1),
    ],
    () => [before, Buffer.alloc(Math.min(hit.length, 9), 0xff), good.subarray(at + Math.min(hit.length, 9))],
    () => [before],
    () => [before, after],
    () => [before, hit, hit, after],
    () => [before, random(), hit, after],
    () => [before, random(), after],
    () => [good, random()],
  ];
  const bytes = Buffer.concat(ways[Math.floor(draw() * ways.length)]!());
  return bytes.length === 0 ? Buffer.from([0]) : bytes;
}

/** What is wrong with a request of either protocol in its headers or in what it asks for, each with its code. */
const WRONG_REQUESTS: Record<string, (good: Good) => Partial<Good> & { code: string }> = {
  "no credentials": ({ headers: { authorization: _, ...headers } }) => ({ headers, code: "unauthenticated" }),
  "a wrong token": ({ headers }) => ({
    headers: { ...headers, authorization: "Bearer open-sesamo" },
    code: "unauthenticated",
  }),
  "no such model": ({ path }) => ({ path: path.replace("tiny", "nobody"), code: "unknown_model" }),
  "no such address": ({ path }) => ({ path: `${path}/more`, code: "not_found" }),
  compressed: ({ headers }) => ({
    headers: { ...headers, "content-encoding": "gzip" },
    code: "unsupported_media_type",
  }),
  chunked: ({ headers }) => ({
    headers: { ...headers, "transfer-encoding": "chunked" },
    code: "length_required",
  }),
  "too large a body": ({ body }) => ({
    body: Buffer.concat([body, Buffer.alloc(MAX_BODY)]),
    code: "too_large",
  }),
};

/** What can be wrong with a logits request alone. */
const WRONG_LOGITS: Record<string, (good: Good) => Partial<Good> & { code: string }> = {
  "another version": ({ headers }) => ({
    headers: { ...headers, "x-funmatch-teacher-version": `sha256:${"0".repeat(64)}` },
    code: "version_mismatch",
  }),
  "another type of body": ({ headers }) => ({
    headers: { ...headers, "content-type": "application/json" },
    code: "unsupported_media_type",
  }),
  "a time that is none": ({ headers }) => ({
    headers: { ...headers, "x-funmatch-timeout-ms": "soon" },
    code: "malformed",
  }),
  "another digest": () => logitsOf({ digest: digestOf(Buffer.from("poison")), code: "digest_mismatch" }),
  "one channel": () => logitsOf({ shape: [1, SIDE, SIDE, 1], code: "shape_mismatch" }),
  float64: (good) => ({
    body: Buffer.from(good.body.toString("latin1").replace(/\xa5uint8|\xa7float32/, "\xa7float64"), "latin1"),
    code: "bad_dtype",
  }),
  "too many images": () => logitsOf({ shape: [MAX_IMAGES + 1, SIDE, SIDE, 3], code: "too_large" }),
};

/** What can be wrong with an inference request alone. */
const WRONG_INFERENCES: Record<string, (good: Good) => Partial<Good> & { code: string }> = {
  "another version": WRONG_LOGITS["another version"]!,
  "one channel": ({ headers }) => ({ ...inferenceOf(headers, [1, SIDE, SIDE, 1]), code: "shape_mismatch" }),
  "too many images": ({ headers }) => ({
    ...inferenceOf(headers, [MAX_IMAGES + 1, SIDE, SIDE, 3]),
    code: "too_large",
  }),
};

function inferenceOf(headers: Good["headers"], shape: number[]): Pick<Good, "headers" | "body"> {
  const size = shape.reduce((product, side) => product * side, 1);
  const input = { name: "images", datatype: "UINT8", shape, parameters: { binary_data_size: size } };
  const header = Buffer.from(JSON.stringify({ inputs: [input] }));
  return {
    headers: {
      ...headers,
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(header.length),
    },
    body: Buffer.concat([header, Buffer.alloc(size)]),
  };
}

function logitsOf(o: { shape?: number[]; digest?: string; code: string }): { body: Buffer; code: string } {
  const shape = o.shape ?? [1, SIDE, SIDE, 3];
  const pixels = new Uint8Array(shape.reduce((product, side) => product * side, 1));
  return { body: Buffer.from(bodyOf({ pixels, shape, digest: o.digest })), code: o.code };
}

/** Signed for other bytes than those that are sent: the signature holds, its digest does not. */
async function signedForOthers(good: Good, nth: number): Promise<Partial<Good> & { code: string }> {
  const { authorization: _, ...headers } = good.headers;
  const identity = await signIdentity(SECRET, "POST", good.path, {
    ...{ audience: AUDIENCE, team: "vision", requestId: `hostile-${nth}`, timestamp: Date.now() / 1000 },
    ...{ purpose: "train", contentLength: good.body.length },
    digest: `sha256:${createHash("sha256").update(String(nth)).digest("hex")}`,
  });
  return { headers: { ...headers, "x-funmatch-identity": identity }, code: "forbidden" };
}

/**
 * The nth mutant of a seed: seven of ten are damaged bodies, the others wrong in one known way.
 *
 * @example await mutant(1, 0)
 */
export async function mutant(
  seed: number,
  nth: number,
  protocols: readonly ("v1" | "v2")[],
): Promise<Mutant> {
  const stream = draws(seed, "hostile", nth);
  const draw: Draw = () => stream.uniform();
  const protocol = protocols[Math.floor(draw() * protocols.length)]!;
  const good = protocol === "v1" ? goodLogits(draw) : goodInference(draw);
  if (draw() < 0.7) return damaged(`${protocol}: damaged`, good, draw);
  const wrongs = { ...WRONG_REQUESTS, ...(protocol === "v1" ? WRONG_LOGITS : WRONG_INFERENCES) };
  const kinds = [...Object.keys(wrongs), ...(protocol === "v1" ? ["signed for others"] : [])];
  const kind = kinds[Math.floor(draw() * kinds.length)]!;
  const wrong = kind === "signed for others" ? await signedForOthers(good, nth) : wrongs[kind]!(good);
  const validPrefix = wrong.code !== "bad_dtype";
  return { kind: `${protocol}: ${kind}`, ...good, ...wrong, validPrefix };
}
