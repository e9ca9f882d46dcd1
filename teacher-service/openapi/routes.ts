import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Hono } from "hono";
import type { Env } from "../app.ts";

const viewer = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));

/** The files of the page, all of them served from here: the page asks no other host. */
const FILES = [
  { at: "/docs", file: join(import.meta.dirname, "page.html"), type: "text/html; charset=utf-8" },
  { at: "/docs/page.js", file: join(import.meta.dirname, "page.js"), type: "text/javascript; charset=utf-8" },
  {
    at: "/docs/swagger-ui-bundle.js",
    file: join(viewer, "swagger-ui-bundle.js"),
    type: "text/javascript; charset=utf-8",
  },
  { at: "/docs/swagger-ui.css", file: join(viewer, "swagger-ui.css"), type: "text/css; charset=utf-8" },
  { at: "/docs/favicon-32x32.png", file: join(viewer, "favicon-32x32.png"), type: "image/png" },
];

const SAFETY = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

/** `GET /openapi.json` and `GET /docs`, which shows it. Neither names a model, so neither needs a token. */
export function descriptionRoutes(): Hono<Env> {
  const routes = new Hono<Env>();
  routes.get("/openapi.json", async (c) => {
    // Only now: a service that starts in a hurry does not make what nobody asked for.
    const { openApiDocument } = await import("./document.ts");
    return c.json(openApiDocument, 200, { "access-control-allow-origin": "*" });
  });
  for (const { at, file, type } of FILES)
    routes.get(at, async (c) =>
      c.body(await readFile(file), 200, {
        ...SAFETY,
        "content-type": type,
        "cache-control": at === "/docs" ? "no-cache" : "public, max-age=3600",
      }),
    );
  return routes;
}
