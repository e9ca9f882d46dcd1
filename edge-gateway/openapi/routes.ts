import { Hono } from "hono";
import { protect } from "../page/protect.ts";
import type { PageEnv } from "../page/session.ts";

/**
 * `GET /openapi.json`, and `GET /docs`, which shows it without a script. Neither names a model or a team, so neither
 * needs a key.
 */
export function descriptionRoutes(): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  app.get("/openapi.json", async (c) => {
    // Only now: a gateway that starts in a hurry does not make what nobody asked for.
    const { openApiDocument } = await import("./document.ts");
    return c.json(openApiDocument, 200, { ...CACHED, "access-control-allow-origin": "*" });
  });
  app.use("/docs", protect);
  app.get("/docs", async (c) => {
    const { docsView } = await import("./docs-view.ts");
    return c.html(docsView(), 200, CACHED);
  });
  return app;
}

const CACHED = { "cache-control": "public, max-age=300" };
