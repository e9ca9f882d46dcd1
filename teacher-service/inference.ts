import type { IncomingMessage } from "node:http";
import { HEADERS, type ImageDtype, type Purpose, WireError } from "@funmatch/wire";
import type { Context } from "hono";
import type { Env } from "./app.ts";
import { checkSigned } from "./auth.ts";
import type { Answer } from "./batch.ts";
import { ClientGone, type Received } from "./body.ts";
import type { Model } from "./model.ts";
import type { Service } from "./service.ts";

/** What a request asks for, in whatever protocol it is written. */
export interface Asked {
  readonly purpose: Purpose;
  /** Claimed digest of the image bytes. */
  readonly digest?: string;
  readonly dtype: ImageDtype;
  /** [N,H,W,C] */
  readonly shape: readonly [number, number, number, number];
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
   * Reads what a request's headers say of its body, before any of it is read.
   *
   * @returns the announced length
   * @throws WireError for a body that will not be read
   */
  announcedLength(incoming: IncomingMessage, maxBodyBytes: number): number;
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
    const { answer, ...known } = trace;
    service.metrics.request({ model: known.model, purpose: known.purpose, code });
    service.log.info(
      {
        requestId: c.var.requestId,
        team: c.var.caller.team,
        ...known,
        status,
        code,
        detail,
        queueMs: answer && Math.round(answer.queueSeconds * 1000),
        computeMs: answer && Math.round(answer.computeSeconds * 1000),
        totalMs: Math.round(performance.now() - c.var.arrived),
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
  const length = protocol.announcedLength(incoming, service.limits.maxBodyBytes);
  const deadline = openDeadline(c, service.limits.timeoutMs);
  let release = () => {};
  try {
    const { version, classes, ask } = model.requireReady();
    checkPin(c.req.header(HEADERS.version), version);
    release = service.room.reserve(length, model.backlogSeconds);
    if (incoming.headers.expect !== undefined) outgoing.writeContinue();

    const received = await protocol.receive(incoming, length, accept, deadline.signal);
    const { head, data, digest } = received;
    if (head.digest !== undefined && head.digest !== digest)
      throw new WireError("digest_mismatch", `the images have ${digest}, the request says ${head.digest}`);

    const images = { dtype: head.dtype, shape: head.shape, data };
    const answer = await ask(images, model.inputFor(head), head.purpose, deadline.signal);
    trace.answer = answer;
    warnNonFinite(service, c.var.requestId, trace.model, answer.logits);
    service.metrics.answered({
      model: trace.model,
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
    release();
    deadline.clear();
  }

  function accept(head: H): void {
    trace.purpose = head.purpose;
    trace.images = head.shape[0];
    checkSigned(c.var.caller, head);
    model.inputFor(head);
    const { maxImages } = service.limits;
    if (head.shape[0] > maxImages)
      throw new WireError("too_large", `${head.shape[0]} images, the limit maxImages is ${maxImages}`, {
        extra: { limit: "maxImages" },
      });
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

function checkPin(pin: string | undefined, version: string): void {
  if (pin !== undefined && pin !== version)
    throw new WireError("version_mismatch", `this model has ${version}, asked for was ${pin}`, {
      extra: { version },
    });
}

/** Aborts when the client goes away, and with `deadline_exceeded` when its time is up, counted from its arrival. */
function openDeadline(c: Context<Env>, limitMs: number): { signal: AbortSignal; clear(): void } {
  const asked = c.req.header(HEADERS.timeout);
  if (asked !== undefined && !/^[1-9]\d{0,9}$/.test(asked))
    throw new WireError("malformed", `${HEADERS.timeout}: "${asked}" is not a whole number of milliseconds`);
  const ms = Math.min(limitMs, asked === undefined ? limitMs : Number(asked));
  const deadline = new AbortController();
  const timer = setTimeout(
    () => deadline.abort(new WireError("deadline_exceeded", `not answered within ${ms} ms`)),
    ms - (performance.now() - c.var.arrived),
  );
  return {
    signal: AbortSignal.any([c.req.raw.signal, deadline.signal]),
    clear: () => clearTimeout(timer),
  };
}

/** Non-finite logits are for the trainer to refuse, but whoever runs the service should know of them. */
function warnNonFinite(service: Service, requestId: string, model: string, logits: Float32Array): void {
  const at = logits.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) service.log.warn({ requestId, model, at }, "logits are not finite");
}

function timing(answer: Answer, totalMs: number): string {
  const parts = { queue: answer.queueSeconds * 1000, compute: answer.computeSeconds * 1000, total: totalMs };
  return Object.entries(parts)
    .map(([name, ms]) => `${name};dur=${ms.toFixed(1)}`)
    .join(", ");
}
