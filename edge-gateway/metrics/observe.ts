import { HEADERS, WireError } from "@funmatch/wire";
import type { Context, MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import type { GatewayEnv } from "../identity/auth.ts";
import { originsOf } from "../teachers/origin.ts";
import { count } from "./counters.ts";

/** In the place of what was refused before it was known, and of models that no teacher has: anybody can make up names. */
const UNKNOWN = "unknown";

/**
 * Middleware: counts every answer for `GET /metrics`.
 *
 * @example
 * app.use(observe);
 */
export const observe: MiddlewareHandler<GatewayEnv> = async (c, next) => {
  await next();
  const { status } = c.res;
  count("requests", { route: routePath(c, -1), method: methodOf(c), status: String(status) });
  const model = c.error === undefined ? c.var.asked?.model : refusedModel(c);
  const labels = { model: model ?? UNKNOWN, purpose: c.var.asked?.purpose ?? UNKNOWN };
  if (c.error !== undefined) {
    count("refusals", { code: c.error instanceof WireError ? c.error.code : "internal", ...labels });
  } else if (c.var.asked !== undefined) {
    count("answers", { cache: c.res.headers.get(HEADERS.cache) ?? UNKNOWN, ...labels });
    count("images", labels, c.var.asked.images);
    count("bytes", labels, c.var.asked.bytes);
  }
};

const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"];

function methodOf(c: Context<GatewayEnv>): string {
  return METHODS.includes(c.req.method) ? c.req.method : UNKNOWN;
}

/** The model of a call that was refused, if a teacher has one of that name. */
function refusedModel(c: Context<GatewayEnv>): string | undefined {
  const model = c.var.asked?.model;
  if (model === undefined) return undefined;
  return originsOf(c.env.settings).some(({ told }) => told?.cards.has(model)) ? model : undefined;
}
