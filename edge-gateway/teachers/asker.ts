import type { Context } from "hono";
import type { Deadline } from "../deadline.ts";
import type { GatewayEnv } from "../identity/auth.ts";
import type { Asker } from "./teacher.ts";

/** On whose behalf a call's teachers are asked. */
export function askerOf(c: Context<GatewayEnv>, deadline: Deadline): Asker {
  const { settings, later } = c.env;
  return { settings, later, team: c.var.caller.team, requestId: c.var.requestId, deadline };
}
