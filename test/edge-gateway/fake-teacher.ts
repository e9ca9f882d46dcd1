import {
  type Card,
  encodeAnswer,
  HEADERS,
  IDENTITY_HEADER,
  type Identity,
  MSGPACK_TYPE,
  type ProblemCode,
  problemResponse,
  readRequestHead,
  replayWindow,
  sha256,
  verifyIdentity,
  WireError,
} from "@funmatch/wire";
import { Hono } from "hono";

/** What the teacher saw of one logits call. */
export interface SeenCall {
  /** "" without a prefix. */
  origin: string;
  identity: Identity;
  model: string;
  headers: Record<string, string>;
  bytes: number;
  digest: string;
}

export interface FakeTeacher {
  fetch(request: Request): Promise<Response>;
  /** Logits calls that were answered, oldest first. */
  calls: SeenCall[];
}

const CLASSES = 3;
const MODELS = ["prof", "liar", "other", "loading", "busy", "slow", "failed", "unloaded", "asleep"];

/** How one of several teachers behind the same address behaves. */
export interface OriginState {
  /** Part of every model's version. */
  generation: string;
  /** What its cards say otherwise. */
  card: Partial<Card>;
  /** Every logits call is refused so. */
  refuse?: ProblemCode | null;
}

/**
 * A teacher without a network, as strict as the real one: it answers only to a signature that fits the request, and
 * never twice to the same. Its models misbehave as they are called: `liar` answers for other images, `loading` and
 * `busy` refuse, `slow` answers after 2 s, `failed` and `unloaded` say so on their cards, `asleep`
 * is unloaded until its card is read; `prof` is honest.
 *
 * `GET /fake/calls` tells what it saw. Under `/origin-…` it is any number of teachers, each with a state of its own:
 * `PUT /origin-a/fake/state`.
 */
export function fakeTeacher(o: { secret: string; audience: string }): FakeTeacher {
  const calls: SeenCall[] = [];
  const replays = replayWindow(60);
  const states = new Map<string, OriginState>();
  const originOf = (request: Request) => /^\/origin-([^/]+)/.exec(new URL(request.url).pathname)?.[1] ?? "";
  const stateOf = (request: Request) => {
    const name = originOf(request);
    const state = states.get(name) ?? { generation: "1", card: {} };
    states.set(name, state);
    return state;
  };
  const version = (request: Request, model: string) =>
    sha256(new TextEncoder().encode(`${model} ${stateOf(request).generation}`));

  const known = async (request: Request) => {
    const header = request.headers.get(IDENTITY_HEADER) ?? "";
    const nowSeconds = Math.floor(Date.now() / 1000);
    const identity = await verifyIdentity(o.secret, request.method, new URL(request.url).pathname, header, {
      audience: o.audience,
      contentLength: Number(request.headers.get("content-length") ?? 0),
      nowSeconds,
      windowSeconds: 60,
    });
    replays.admit(header, nowSeconds);
    return identity;
  };

  const app = new Hono({
    getPath: (request) => new URL(request.url).pathname.replace(/^\/origin-[^/]+/, ""),
  });
  app.get("/fake/calls", (c) => c.json(calls));
  app.put("/fake/state", async (c) => {
    Object.assign(stateOf(c.req.raw), await c.req.json());
    return c.body(null, 204);
  });
  app.get("/readyz", (c) => c.json({ status: "ready" }));

  app.use("/v1/*", async (c, next) => {
    c.set("identity" as never, (await known(c.req.raw)) as never);
    await next();
  });
  app.get("/v1/limits", (c) => c.json({ maxImages: 512, maxBodyBytes: 64_000_000, timeoutMs: 30_000 }));
  let woken = false;
  const stateOfModel = (id: string) => (id === "asleep" && woken ? { state: "ready" as const } : {});
  app.get("/v1/models/:model", async (c) => {
    woken ||= c.req.param("model") === "asleep";
    return c.json(card(c.req.param("model"), await version(c.req.raw, c.req.param("model"))));
  });
  app.get("/v1/models", async (c) => {
    const cards = MODELS.map(async (id) => ({
      ...card(id, await version(c.req.raw, id)),
      ...stateOfModel(id),
      ...stateOf(c.req.raw).card,
    }));
    return c.json({ models: await Promise.all(cards) });
  });

  app.post("/v1/models/:model/logits", async (c) => {
    const identity = c.get("identity" as never) as Identity;
    const model = c.req.param("model");
    if (model === "loading") {
      throw new WireError("loading", "reading weights", { retryAfterSeconds: 7, extra: { progress: 0.25 } });
    }
    if (model === "unloaded")
      throw new WireError("loading", "the model is loading: 0 % done", { retryAfterSeconds: 1 });
    if (!MODELS.includes(model))
      throw new WireError("unknown_model", `there is no model ${model}; there is ${MODELS.join(", ")}`);
    const { refuse } = stateOf(c.req.raw);
    if (refuse) throw new WireError(refuse, "told to refuse", { retryAfterSeconds: 9 });
    if (model === "failed") throw new WireError("internal", "the model could not be loaded");
    if (model === "busy") throw new WireError("overloaded", "the queue is full", { retryAfterSeconds: 3 });
    if (model === "slow") await new Promise((resolve) => setTimeout(resolve, 2000));
    const length = c.req.header("content-length");
    if (length === undefined) throw new WireError("length_required", "Content-Length is missing");
    const body = new Uint8Array(await c.req.arrayBuffer());
    const head = readRequestHead(body, Number(length));
    const digest = await sha256(body.subarray(head.dataOffset));
    if (identity.purpose !== head.purpose || identity.digest !== (head.digest ?? "")) {
      throw new WireError("unauthenticated", "the identity was signed for another call");
    }
    if (head.digest !== undefined && head.digest !== digest) {
      throw new WireError("digest_mismatch", `claimed ${head.digest}, received ${digest}`);
    }
    const mine = await version(c.req.raw, model);
    const pin = c.req.header(HEADERS.version);
    if (pin !== undefined && pin !== mine) throw new WireError("version_mismatch", `the version is ${mine}`);
    calls.push({
      origin: originOf(c.req.raw),
      identity,
      model,
      headers: c.req.header(),
      bytes: body.length,
      digest,
    });
    const told = model === "liar" ? await sha256(new Uint8Array(1)) : digest;
    const images = head.shape[0];
    const logits = Float32Array.from({ length: images * CLASSES }, (_, i) => calls.length + i / 10);
    const answer = encodeAnswer({
      model,
      version: mine,
      digest: told,
      logits: { dtype: "float32", shape: [images, CLASSES], data: new Uint8Array(logits.buffer) },
    });
    return new Response(answer, {
      headers: {
        "content-type": MSGPACK_TYPE,
        [HEADERS.digest]: told,
        [HEADERS.answeredVersion]: mine,
        [HEADERS.requestId]: identity.requestId,
        [HEADERS.serverTiming]: "queue;dur=1, compute;dur=2, total;dur=3",
      },
    });
  });
  app.onError((error) => {
    if (error instanceof WireError) return problemResponse(error);
    throw error;
  });
  return { fetch: async (request) => app.fetch(request), calls };
}

function card(id: string, version: string): Card {
  return {
    id,
    version,
    classes: CLASSES,
    input: { resolution: 32, valueRange: [-1, 1], channels: 3, dtypes: ["uint8", "float32"], resizes: true },
    maxBatch: 64,
    state:
      id === "asleep" ? "unloaded" : id === "failed" || id === "loading" || id === "unloaded" ? id : "ready",
    bitStable: true,
    parameters: 1,
    runtime: { engine: "none" },
  };
}
