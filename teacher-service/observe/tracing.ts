import type { IncomingHttpHeaders } from "node:http";
import type { Logger } from "pino";
import type { TeacherConfig } from "../config/config.ts";

/** A request to compute that is over; moments are `performance.now()`. */
export interface Finished {
  readonly headers: IncomingHttpHeaders;
  /** Without names: "/v1/models/:model/logits". */
  readonly route: string;
  readonly status: number;
  readonly arrived: number;
  /** When its body was complete, if ever. */
  readonly received?: number | undefined;
  readonly queueSeconds?: number | undefined;
  readonly computeSeconds?: number | undefined;
  readonly ended: number;
  readonly attributes: Readonly<Record<string, string | number | undefined>>;
}

/** Where requests are told in W3C's and OpenTelemetry's terms. */
export interface Tracing {
  /**
   * Makes a request's spans, if it is one of the sample.
   *
   * @returns the id of its trace, for the log; undefined when it belongs to none
   */
  record(request: Finished): string | undefined;
  /** Sends what is left, a few seconds at most. */
  close(): Promise<void>;
}

/**
 * Spans for an OpenTelemetry collector, or none: without `config` only the caller's own trace id is read. The
 * OpenTelemetry packages are loaded only where they are used.
 */
export async function openTracing(config: TeacherConfig["tracing"], log: Logger): Promise<Tracing> {
  if (config) return (await import("./spans.ts")).openSpans(config, log);
  return { record: ({ headers }) => traceIdOf(headers.traceparent), close: async () => {} };
}

/**
 * The trace that a `traceparent` header names (W3C Trace Context, 3.2); undefined for what is none.
 *
 * @example traceIdOf("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") // "0af7651916cd43dd8448eb211c80319c"
 */
function traceIdOf(header: string | string[] | undefined): string | undefined {
  const found = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/.exec(
    String(header ?? ""),
  );
  return found?.[1];
}
