import { randomUUID } from "node:crypto";
import { HEADERS, IDENTITY_HEADER, isRequestId, problemResponse, WireError } from "@funmatch/wire";
import type { HttpBindings } from "@hono/node-server";
import { Hono, type MiddlewareHandler } from "hono";
import { readinessOf } from "./life/readiness.ts";
import { errorResponse, isOip } from "./oip/problem.ts";
import { addOipRoutes } from "./oip/routes.ts";
import { descriptionRoutes } from "./openapi/routes.ts";
import type { Caller } from "./request/auth.ts";
import { ClientGone } from "./request/body.ts";
import { requireModel } from "./request/inference.ts";
import { logits } from "./request/logits.ts";
import type { Service } from "./service.ts";

export type Env = {
  Bindings: HttpBindings;
  Variables: {
    /** When the request's headers were complete (`performance.now()`); Node tells no earlier moment. */
    arrived: number;
    requestId: string;
    caller: Caller;
  };
};

/** The routes of design.md's HTTP API, and of the Open Inference Protocol beside it. */
export function createApp(service: Service): Hono<Env> {
  const app = new Hono<Env>();

  app.use(async (c, next) => {
    c.set("arrived", performance.now());
    const given = c.req.header(HEADERS.requestId);
    c.set("requestId", given !== undefined && isRequestId(given) ? given : randomUUID());
    await next();
    c.header(HEADERS.requestId, c.var.requestId);
    if (!c.res.headers.has(HEADERS.serverTiming))
      c.header(HEADERS.serverTiming, `total;dur=${(performance.now() - c.var.arrived).toFixed(1)}`);
    if (service.draining) c.header("connection", "close");
  });

  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", (c) => {
    const readiness = readinessOf(service);
    return c.json(readiness, readiness.ready ? 200 : 503);
  });
  app.get("/metrics", async (c) =>
    c.body(await service.metrics.text(), 200, { "content-type": service.metrics.contentType }),
  );

  app.route("/", descriptionRoutes());

  const authenticated: MiddlewareHandler<Env> = async (c, next) => {
    const caller = await service.authenticate({
      method: c.req.method,
      // As it came, because that is what was signed.
      path: c.env.incoming.url ?? "",
      contentLength: Number(c.req.header("content-length") ?? 0),
      authorization: c.req.header("authorization"),
      identity: c.req.header(IDENTITY_HEADER),
    });
    c.set("caller", caller);
    await next();
  };

  app.use("/v1/*", authenticated);
  app.get("/v1/limits", (c) => c.json(service.limits));
  app.get("/v1/models", (c) => c.json({ models: [...service.models.values()].map((model) => model.card()) }));
  app.get("/v1/models/:model", (c) => {
    const model = requireModel(service, c.req.param("model"));
    // Whoever reads one card is about to use it, a trainer for one. The list of all is only looked at.
    if (!service.draining) model.want();
    return c.json(model.card());
  });
  app.post("/v1/models/:model/logits", (c) => logits(c, service));
  addOipRoutes(app, service, authenticated);

  app.notFound((c) => {
    throw new WireError("not_found", `there is no ${c.req.method} ${c.req.path}`);
  });
  app.onError((error, c) => {
    const refusal = isOip(c.req.path) ? errorResponse : problemResponse;
    if (error instanceof WireError) {
      service.metrics.refused(error.code);
      const unauthenticated = error.code === "unauthenticated";
      if (unauthenticated)
        service.log.info(
          { requestId: c.var.requestId, path: c.req.path, detail: error.detail },
          "unauthenticated",
        );
      return refusal(error, unauthenticated ? { "www-authenticate": "Bearer" } : {});
    }
    if (!(error instanceof ClientGone))
      service.log.error({ requestId: c.var.requestId, err: error }, "internal error");
    return refusal(new WireError("internal", "the service failed; its log says why"));
  });
  return app;
}
