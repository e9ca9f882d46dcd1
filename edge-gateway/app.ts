import { HEADERS, isRequestId, problemResponse, WireError } from "@funmatch/wire";
import { Hono } from "hono";
import { adminRoutes } from "./admin.ts";
import { authenticate, type GatewayEnv } from "./auth.ts";
import { listModels, showLimits, showModel, tellReadiness } from "./catalog.ts";
import { answerLogits } from "./logits.ts";
import { listOwnKeys, tellQuota, tellUsage } from "./own-team.ts";
import { pageRoutes } from "./page/routes.ts";

/**
 * The gateway as a Hono app. Its bindings are a `Platform`, so that it runs wherever there is one.
 *
 * @example
 * const app = createApp();
 * await app.fetch(request, platform);
 */
export function createApp(): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();

  app.use(async (c, next) => {
    const asked = c.req.header(HEADERS.requestId);
    const usable = asked === undefined || isRequestId(asked);
    const requestId = asked !== undefined && usable ? asked : crypto.randomUUID();
    c.set("requestId", requestId);
    if (!usable)
      throw new WireError("malformed", `${HEADERS.requestId}: expected 1 to 128 visible ASCII characters`);
    await next();
    c.header(HEADERS.requestId, requestId);
    for (const [name, value] of Object.entries(c.var.rateLimit ?? {})) c.header(name, value);
  });

  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", tellReadiness);
  app.route("/admin", adminRoutes());
  app.route("/", pageRoutes());
  app.use("/v1/*", authenticate);
  app.get("/v1/models", listModels);
  app.get("/v1/models/:model", showModel);
  app.get("/v1/limits", showLimits);
  app.get("/v1/quota", tellQuota);
  app.get("/v1/usage", tellUsage);
  app.get("/v1/keys", listOwnKeys);
  app.post("/v1/models/:model/logits", answerLogits);

  app.notFound((c) => {
    throw new WireError("not_found", `there is no ${c.req.method} ${c.req.path}`);
  });
  app.onError((error, c) => {
    const headers = new Headers({ [HEADERS.requestId]: c.var.requestId });
    if (error instanceof WireError) {
      if (error.status === 401) headers.set("www-authenticate", "Bearer");
      return problemResponse(error, headers);
    }
    console.error(error);
    return problemResponse(new WireError("internal", "the gateway failed; its log says why"), headers);
  });
  return app;
}
