import type { Context } from "hono";
import type { Deadline } from "../deadline.ts";
import type { GatewayEnv } from "../identity/auth.ts";
import type { Asker } from "./teacher.ts";

/** On whose behalf a call's teachers are asked. */
export function askerOf(c: Context<GatewayEnv>, deadline: Deadline): Asker {
  const { settings, later } = c.env;
  const { caller, requestId } = c.var;
  return { settings, later, team: caller.team, requestId, trace: traceOf(c.req.raw.headers), deadline };
}

/** Longest that a vendor's list must be passed on with (W3C Trace Context, 3.3.1.5). */
const MOST_STATE = 512;

/** The headers by which the client's trace goes on (W3C Trace Context); none where they are not well-formed. */
function traceOf(headers: Headers): Record<string, string> {
  const parent = headers.get("traceparent");
  if (parent === null || !/^[0-9a-f]{2}(-[0-9a-f]+){3}$/.test(parent) || parent.length !== 55) return {};
  const state = headers.get("tracestate");
  return { traceparent: parent, ...(state !== null && state.length <= MOST_STATE && { tracestate: state }) };
}
