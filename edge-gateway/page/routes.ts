import { WireError } from "@funmatch/wire";
import { type Context, Hono } from "hono";
import { html } from "hono/html";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { teamAdminRoutes } from "./admin-routes.ts";
import { field, readForm } from "./form-body.ts";
import { layout } from "./layout.ts";
import { protect } from "./protect.ts";
import { type PageEnv, signIn, signOut, type Viewer, viewerOf } from "./session.ts";
import { signInView } from "./sign-in-view.ts";
import { ICON, STYLE } from "./style.ts";
import { stateOf } from "./team-state.ts";
import { teamView } from "./team-view.ts";

/** One message for every wrong key: it tells nobody whether there is such a team, or was such a key. */
const WRONG_KEY = "This key does not open the gateway. It may be mistyped, revoked or expired.";

/**
 * The web page: `/` and what lies under `/page`. Plain HTML and forms, made here; it needs no script.
 *
 * @example
 * app.route("/", pageRoutes());
 */
export function pageRoutes(): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  for (const path of ["/", "/page/*"]) app.use(path, protect);

  const cached = { "cache-control": "public, max-age=300" };
  app.get("/page/style.css", (c) =>
    c.body(STYLE, 200, { ...cached, "content-type": "text/css; charset=utf-8" }),
  );
  app.get("/page/icon.svg", (c) => c.body(ICON, 200, { ...cached, "content-type": "image/svg+xml" }));

  app.get("/", async (c) => {
    const viewer = await viewerOf(c);
    if (viewer === null) return c.html(signInView({ done: c.req.query("done") }));
    if (viewer.team === null) return c.redirect("/page/teams", 303);
    const state = await stateOf(c, viewer.team);
    return c.html(teamView({ viewer, path: "/", state, changes: false, done: c.req.query("done") }));
  });

  app.post("/page/sign-in", async (c) => {
    const key = field(await readForm(c), "key");
    if (await signIn(c, key)) return c.redirect("/", 303);
    return c.html(signInView({ wrong: [WRONG_KEY] }), 401, { "www-authenticate": "Bearer" });
  });

  app.post("/page/sign-out", (c) => {
    signOut(c);
    return c.redirect("/?done=signed-out", 303);
  });

  app.route("/page/teams", teamAdminRoutes());
  app.all("/page/*", (c) => {
    throw new WireError("not_found", `there is no page ${c.req.path}`);
  });
  app.onError(tellError);
  return app;
}

/** An error as a page, in plain words. */
function tellError(error: Error, c: Context<PageEnv>): Response | Promise<Response> {
  const known = error instanceof WireError;
  if (!known) console.error(error);
  const detail = known ? error.detail : "the gateway failed; its log says why";
  const status = (known ? error.status : 500) as ContentfulStatusCode;
  const viewer = c.var.viewer as Viewer | undefined;
  return c.html(
    layout(
      {
        title: TITLES[status] ?? "That did not work",
        viewer,
        wrong: [`${detail[0]?.toUpperCase()}${detail.slice(1)}.`],
      },
      html`<p><a href="/">Back to the start</a></p>`,
    ),
    status,
  );
}

const TITLES: Record<number, string> = { 403: "Not allowed", 404: "Not found", 500: "Something broke" };
