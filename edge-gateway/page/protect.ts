import { WireError } from "@funmatch/wire";
import type { MiddlewareHandler } from "hono";
import type { PageEnv } from "./session.ts";

/** Nothing from elsewhere, no script, no inline style, in nobody's frame. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "cache-control": "no-store",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  // Not no-referrer: with that, a form's Origin is null.
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/**
 * Middleware of every page: the headers that confine it, and no form from another site, nor from a neighbour that only
 * shares the domain, whom SameSite lets pass.
 *
 * @throws WireError `forbidden`
 */
export const protect: MiddlewareHandler<PageEnv> = async (c, next) => {
  for (const [name, value] of Object.entries(HEADERS)) c.header(name, value);
  if (c.req.method !== "GET" && c.req.method !== "HEAD" && !isFromHere(c.req.raw)) {
    throw new WireError("forbidden", "this form did not come from this page, so nothing was done");
  }
  await next();
};

function isFromHere(request: Request): boolean {
  const site = request.headers.get("sec-fetch-site");
  if (site !== null) return site === "same-origin";
  // Told by every browser; the scheme may differ, as a proxy may have ended TLS.
  const origin = request.headers.get("origin");
  const host = request.headers.get("host") ?? new URL(request.url).host;
  return origin !== null && URL.canParse(origin) && new URL(origin).host === host;
}
