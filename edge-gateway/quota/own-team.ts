import { WireError } from "@funmatch/wire";
import type { Context } from "hono";
import type { GatewayEnv } from "../identity/auth.ts";

/** `GET /v1/quota`: what the caller's team may use, and how much of it is left. */
export async function tellQuota(c: Context<GatewayEnv>): Promise<Response> {
  const { team } = c.var.caller;
  const { quota, policies } = await c.env.team(team).standing(c.env.settings.quota);
  return c.json({ team, quota, policies });
}

/** `GET /v1/usage?from=…&to=…`: what the caller's team used, by hour, model and purpose. */
export async function tellUsage(c: Context<GatewayEnv>): Promise<Response> {
  const { team } = c.var.caller;
  const { from, to } = periodOf(c);
  const usage = await c.env.team(team).usage(from, to);
  return c.json({ team, from, to, usage });
}

/** `GET /v1/keys`: the keys of the caller's team, without the keys. */
export async function listOwnKeys(c: Context<GatewayEnv>): Promise<Response> {
  const { team } = c.var.caller;
  return c.json({ team, keys: await c.env.keys.list(team) });
}

const DAY_MS = 24 * 3_600_000;

/**
 * The hours that a call asks about: `from` and `to` in its query, the last day unless told.
 *
 * @throws WireError `malformed`
 */
export function periodOf(c: Context<GatewayEnv>): { from: string; to: string } {
  const now = Date.now();
  // The hour that has begun is in it.
  return { from: hour(c, "from", now - DAY_MS), to: hour(c, "to", now + 3_600_000) };
}

function hour(c: Context<GatewayEnv>, name: "from" | "to", otherwise: number): string {
  const text = c.req.query(name);
  const time = text === undefined ? otherwise : Date.parse(text);
  if (Number.isNaN(time)) {
    throw new WireError(
      "malformed",
      `${name} is ${JSON.stringify(text)}, must be a time such as 2026-11-30T00:00Z`,
    );
  }
  return `${new Date(time).toISOString().slice(0, 13)}:00Z`;
}
