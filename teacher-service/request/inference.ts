import type { IncomingMessage } from "node:http";
import { HEADERS, type ImageDtype, isRequestId, type Purpose, WireError } from "@funmatch/wire";
import type { Context } from "hono";
import { routePath } from "hono/route";
import type { Env } from "../app.ts";
import type { Model } from "../life/model.ts";
import type { Answer } from "../queue/batch.ts";
import type { Service } from "../service.ts";
import { checkSigned } from "./auth.ts";
import { ClientGone, type Received } from "./body.ts";
import { openDeadline } from "./deadline.ts";
import { giveImageMemory } from "./image-memory.ts";
import type { Reservation } from "./room.ts";

/** What a request asks for, in whatever protocol it is written. */
export interface Asked {
  readonly purpose: Purpose;
  /** Claimed digest of the image bytes. */
  readonly digest?: string;
  readonly dtype: ImageDtype;
  /** [N,H,W,C] */
  readonly shape: readonly [number, number, number, number];
  /** What the client calls the request, where a header does not tell. */
  readonly id?: string;
  /** How long the client will wait, counted from its arrival. */
  readonly timeoutMs?: number;
}

/** What a request's headers say of its body. */
export interface Announced {
  readonly length: number;
  /** Bytes that may be held at once while it is read and computed. */
  readonly holds: number;
}

/** What there is to tell about a request that was computed. */
export interface Answered {
  readonly model: string;
  readonly version: string;
  /** Digest of the image bytes that were received. */
  readonly digest: string;
  /** [N,K] */
  readonly shape: [number, number];
  readonly logits: Float32Array;
}

/** An answer's body, and the headers that only its protocol has. */
export interface Encoded {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly headers: Record<string, string>;
}

/** How one protocol writes requests and answers; what lies between is the same for all: {@link infer}. */
export interface Protocol<H extends Asked> {
  /**
   * Reads a request's headers, before any of its body is read.
   *
   * @throws WireError for a body that will not be read
   */
  announced(incoming: IncomingMessage, maxBodyBytes: number): Announced;
  /**
   * Holds the version that a request's address names against the one that is served.
   *
   * @throws WireError when it is another
   */
  checkAddressed?(version: string): void;
  /** Reads the body; see `receive` in body.ts for what is due to `accept` and `signal`. */
  receive(
    incoming: IncomingMessage,
    length: number,
    accept: (head: H) => void,
    signal: AbortSignal,
  ): Promise<Received<H>>;
  encode(answered: Answered, head: H): Encoded | Promise<Encoded>;
}

/** What became known of a request on its way; the log line and the metrics are made of it. */
interface Trace {
  model: string;
  purpose: Purpose | "unknown";
  images?: number;
  /** When the body was complete (`performance.now()`). */
  received?: number;
  answer?: Answer;
}

/** Answers a request to compute, in the protocol that it came in; counts and logs it whatever becomes of it. */
export async function infer<H extends Asked>(
  c: Context<Env>,
  service: Service,
  protocol: Protocol<H>,
): Promise<Response> {
  const trace: Trace = { model: "unknown", purpose: "unknown" };
  const report = (code: string, status: number, detail?: string) => {
    const { answer, received, ...known } = trace;
    const { requestId, arrived, caller } = c.var;
    const ended = performance.now();
    const { model, purpose } = known;
    service.metrics.request({ model, team: caller.team, purpose, code, seconds: (ended - arrived) / 1000 });
    const traceId = service.tracing.record({
      headers: c.env.incoming.headers,
      route: routePath(c),
      status,
      arrived,
      received,
      queueSeconds: answer?.queueSeconds,
      computeSeconds: answer?.computeSeconds,
      ended,
      attributes: attributesOf({ ...known, request_id: requestId, team: caller.team, code }),
    });
    service.log.info(
      {
        requestId,
        traceId,
        team: caller.team,
        ...known,
        status,
        code,
        detail,
        queueMs: answer && Math.round(answer.queueSeconds * 1000),
        computeMs: answer && Math.round(answer.computeSeconds * 1000),
        totalMs: Math.round(ended - arrived),
      },
      "request",
    );
  };
  try {
    const response = await answered(c, service, protocol, trace);
    report("ok", response.status);
    return response;
  } catch (error) {
    if (c.req.raw.signal.aborted || error instanceof ClientGone) {
      service.metrics.hangUp(trace.model);
      report("client_gone", 0);
      throw new ClientGone();
    }
    if (error instanceof WireError) report(error.code, error.status, error.detail);
    else report("internal", 500);
    throw error;
  }
}

/** The way of one request: what its headers allow, its body, its turn, its answer. */
async function answered<H extends Asked>(
  c: Context<Env>,
  service: Service,
  protocol: Protocol<H>,
  trace: Trace,
): Promise<Response> {
  const { incoming, outgoing } = c.env;
  const model = requireModel(service, c.req.param("model") ?? "");
  trace.model = model.card().id;
  const { length, holds } = protocol.announced(incoming, service.limits.maxBodyBytes);
  const deadline = openDeadline(c, service.limits.timeoutMs);
  let held: Reservation | undefined;
  const letGo = model.hold();
  try {
    if (service.draining) throw draining();
    const { version, classes, ask } = model.requireReady();
    checkPin(c.req.header(HEADERS.version), version);
    protocol.checkAddressed?.(version);
    held = service.room.reserve(c.var.caller.team, holds, waitSeconds);
    if (incoming.headers.expect !== undefined) outgoing.writeContinue();

    const received = await protocol.receive(incoming, length, accept, deadline.signal);
    trace.received = performance.now();
    const { head, data, digest } = received;
    if (head.digest !== undefined && head.digest !== digest)
      throw new WireError("digest_mismatch", `the images have ${digest}, the request says ${head.digest}`);

    const images = { dtype: head.dtype, shape: head.shape, data };
    const { team } = c.var.caller;
    const turn = { team, purpose: head.purpose, deadline: deadline.at };
    const answer = await ask(images, turn, deadline.signal);
    // Every pass with these images is done. After a refusal one may still be under way.
    giveImageMemory(data);
    trace.answer = answer;
    warnNonFinite(service, c.var.requestId, trace.model, answer.logits);
    service.metrics.answered({
      model: trace.model,
      team: c.var.caller.team,
      purpose: head.purpose,
      images: head.shape[0],
      bytes: data.length,
      answer,
    });

    const shape: [number, number] = [head.shape[0], classes];
    const { body, headers } = await protocol.encode(
      { model: trace.model, version, digest, shape, logits: answer.logits },
      head,
    );
    return new Response(body, {
      headers: {
        ...headers,
        "cache-control": "no-store",
        [HEADERS.digest]: digest,
        [HEADERS.answeredVersion]: version,
        [HEADERS.cache]: "bypass", // every answer is computed
        [HEADERS.serverTiming]: timing(answer, performance.now() - c.var.arrived),
      },
    });
  } finally {
    held?.release();
    letGo();
    deadline.clear();
  }

  /** Models share the machine: the one with the most to do says when there is room again. */
  function waitSeconds(part: number, team: string): number {
    return Math.max(...[...service.models.values()].map((each) => each.backlogSeconds(part, team)));
  }

  function accept(head: H): void {
    trace.purpose = head.purpose;
    trace.images = head.shape[0];
    checkSigned(c.var.caller, head);
    if (head.id !== undefined && isRequestId(head.id) && c.req.header(HEADERS.requestId) === undefined)
      c.set("requestId", head.id);
    if (head.timeoutMs !== undefined) deadline.shorten(head.timeoutMs);
    model.requireShape(head.shape);
    const { maxImages } = service.limits;
    if (head.shape[0] > maxImages)
      throw new WireError("too_large", `${head.shape[0]} images, the limit maxImages is ${maxImages}`, {
        extra: { limit: "maxImages" },
      });
    held?.addImages(head.shape[0]);
  }
}

/** @throws WireError `unknown_model` naming those that there are */
export function requireModel(service: Service, id: string): Model {
  const model = service.models.get(id);
  if (!model)
    throw new WireError(
      "unknown_model",
      `no model "${id}" here; there is ${[...service.models.keys()].join(", ")}`,
    );
  return model;
}

/** For requests on connections that were there before: the answer's `connection: close` sends the next one elsewhere. */
function draining(): WireError {
  return new WireError("loading", "this instance of the service is ending: ask again, and another answers", {
    retryAfterSeconds: 1,
    extra: { draining: true },
  });
}

function checkPin(pin: string | undefined, version: string): void {
  if (pin !== undefined && pin !== version)
    throw new WireError("version_mismatch", `this model has ${version}, asked for was ${pin}`, {
      extra: { version },
    });
}

/** Non-finite logits are for the trainer to refuse, but whoever runs the service should know of them. */
function warnNonFinite(service: Service, requestId: string, model: string, logits: Float32Array): void {
  const at = logits.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) service.log.warn({ requestId, model, at }, "logits are not finite");
}

/** What a span says of a request, under names of our own. */
function attributesOf(said: Record<string, string | number>): Record<string, string | number> {
  return Object.fromEntries(Object.entries(said).map(([name, value]) => [`funmatch.${name}`, value]));
}

function timing(answer: Answer, totalMs: number): string {
  const parts = { queue: answer.queueSeconds * 1000, compute: answer.computeSeconds * 1000, total: totalMs };
  return Object.entries(parts)
    .map(([name, ms]) => `${name};dur=${ms.toFixed(1)}`)
    .join(", ");
}
