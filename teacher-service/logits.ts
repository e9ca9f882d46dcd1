import {
  encodeAnswer,
  HEADERS,
  MSGPACK_TYPE,
  type Purpose,
  type RequestHead,
  WireError,
} from "@funmatch/wire";
import type { Context } from "hono";
import type { Env } from "./app.ts";
import { checkSigned } from "./auth.ts";
import type { Answer } from "./batch.ts";
import { announcedLength, ClientGone, receive } from "./body.ts";
import type { Model } from "./model.ts";
import type { Service } from "./service.ts";

/** What became known of a request on its way; the log line and the metrics are made of it. */
interface Trace {
  model: string;
  purpose: Purpose | "unknown";
  images?: number;
  answer?: Answer;
}

/** `POST /v1/models/{model}/logits`, counted and logged whatever becomes of it. */
export async function logits(c: Context<Env>, service: Service): Promise<Response> {
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
    const response = await answered(c, service, trace);
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
async function answered(c: Context<Env>, service: Service, trace: Trace): Promise<Response> {
  const { incoming, outgoing } = c.env;
  const model = requireModel(service, c.req.param("model") ?? "");
  trace.model = model.card().id;
  const length = announcedLength(incoming, service.limits.maxBodyBytes);
  const deadline = openDeadline(c, service.limits.timeoutMs);
  let release = () => {};
  try {
    const { version, classes, ask } = model.requireReady();
    checkPin(c.req.header(HEADERS.version), version);
    release = service.room.reserve(length, model.backlogSeconds);
    if (incoming.headers.expect !== undefined) outgoing.writeContinue();

    const received = await receive(incoming, length, (head) => accept(head), deadline.signal);
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

    const body = encodeAnswer({
      model: trace.model,
      version,
      digest,
      logits: {
        dtype: "float32",
        shape: [head.shape[0], classes],
        data: new Uint8Array(answer.logits.buffer),
      },
    });
    return new Response(body, {
      headers: {
        "content-type": MSGPACK_TYPE,
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

  function accept(head: RequestHead): void {
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
