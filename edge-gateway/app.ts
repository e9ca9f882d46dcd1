import { HEADERS, isRequestId, problemResponse, WireError } from "@funmatch/wire";
import { Hono } from "hono";
import { adminRoutes } from "./admin/admin.ts";
import { administer, authenticate, type GatewayEnv } from "./identity/auth.ts";
import { answerLogits } from "./logits.ts";
import { tellMetrics } from "./metrics/metrics.ts";
import { observe } from "./metrics/observe.ts";
import { descriptionRoutes } from "./openapi/routes.ts";
import { pageRoutes } from "./page/routes.ts";
import { listOwnKeys, tellQuota, tellUsage } from "./quota/own-team.ts";
import { listModels, showLimits, showModel, tellReadiness } from "./teachers/catalog.ts";

/**
 * The gateway as a Hono app. Its bindings are a `Platform`, so that it runs wherever there is one.
 *
 * @example
 * const app = createApp();
 * await app.fetch(request, platform);
 */
export function createApp(): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();

  app.use(observe);
  app.use(async (c, next) => {
    const asked = c.req.header(HEADERS.requestId);
    const usable = asked === undefined || isRequestId(asked);
    const requestId = asked !== undefined && usable ? asked : crypto.randomUUID();
    c.set("requestId", requestId);
    if (!usable)
      throw new WireError("malformed", `${HEADERS.requestId}: expected 1 to 128 visible ASCII characters`);
    await next();
    c.header(HEADERS.requestId, requestId);
    // What is told here is told to one team: it is in no store that others share.
    if (!c.res.headers.has("cache-control")) c.header("cache-control", "no-store");
    for (const [name, value] of Object.entries(c.var.rateLimit ?? {})) c.header(name, value);
  });

  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", tellReadiness);
  app.get("/metrics", administer, tellMetrics);
  app.route("/", descriptionRoutes());
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

  app.all("/v2/*", () => {
    throw new WireError("not_found", OIP_ELSEWHERE);
  });
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

const OIP_ELSEWHERE =
  "the Open Inference Protocol is spoken by the teacher service itself, not by this gateway: ask POST /v1/models/{model}/logits";
