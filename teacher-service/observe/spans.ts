import {
  type Context,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Logger } from "pino";
import type { TeacherConfig } from "../config/config.ts";
import type { Finished, Tracing } from "./tracing.ts";

const CLOSE_MS = 3000;

/**
 * Sends spans to a collector (OTLP over HTTP): `request`, and within it `receive`, `queue` and `compute`. They are
 * made when the request is over, in one go, so that nothing of this is on its way. A caller who samples his trace
 * has ours sampled too; of the other requests `sampleRatio` are. A collector that is away costs the oldest spans.
 */
export function openSpans(config: NonNullable<TeacherConfig["tracing"]>, log: Logger): Tracing {
  const warn = (message: string) => log.warn({ about: "tracing" }, message);
  const quiet = () => {};
  diag.setLogger({ error: warn, warn, info: quiet, debug: quiet, verbose: quiet }, DiagLogLevel.WARN);
  const exporter = new OTLPTraceExporter({ url: tracesUrl(config.endpoint) });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": "funmatch-teacher" }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(config.sampleRatio) }),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  });
  const tracer = provider.getTracer("funmatch-teacher");
  const propagator = new W3CTraceContextPropagator();

  return {
    record(request) {
      const parent = propagator.extract(ROOT_CONTEXT, request.headers, {
        get: (headers, key) => headers[key],
        keys: (headers) => Object.keys(headers),
      });
      // The wall clock as it is now; `performance.timeOrigin` would be as wrong as the clock was at the start.
      const wall = Date.now() - performance.now();
      const span = tracer.startSpan(
        `POST ${request.route}`,
        {
          kind: SpanKind.SERVER,
          startTime: wall + request.arrived,
          attributes: {
            "http.request.method": "POST",
            "http.route": request.route,
            // Who went away was answered nothing.
            ...(request.status > 0 && { "http.response.status_code": request.status }),
            ...request.attributes,
          },
        },
        parent,
      );
      const within = trace.setSpan(parent, span);
      for (const { name, from, to } of partsOf(request))
        tracer.startSpan(name, { startTime: wall + from }, within).end(wall + to);
      if (request.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end(wall + request.ended);
      return traceIdIn(within);
    },
    async close() {
      const late = new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref());
      await Promise.race([provider.shutdown().catch(() => {}), late]);
    },
  };
}

function traceIdIn(context: Context): string | undefined {
  return trace.getSpanContext(context)?.traceId;
}

/** What a request's time went into, as far as it came. Of one spread over several passes the parts are sums. */
function partsOf(request: Finished): { name: string; from: number; to: number }[] {
  const { arrived, received, queueSeconds, computeSeconds, ended } = request;
  const parts = [{ name: "receive", from: arrived, to: received ?? ended }];
  if (received === undefined) return parts;
  const begun = queueSeconds === undefined ? ended : received + queueSeconds * 1000;
  parts.push({ name: "queue", from: received, to: begun });
  if (computeSeconds !== undefined)
    parts.push({ name: "compute", from: begun, to: begun + computeSeconds * 1000 });
  return parts;
}

/** A collector is named by its address, as in OTEL_EXPORTER_OTLP_ENDPOINT; its path for spans belongs to the protocol. */
function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  if (!url.pathname.endsWith("/v1/traces")) url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/traces`;
  return url.href;
}
