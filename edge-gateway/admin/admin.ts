import { WireError } from "@funmatch/wire";
import { Hono } from "hono";
import { administer, forgetCallers, type GatewayEnv } from "../identity/auth.ts";
import { readBody } from "./admin-body.ts";
import { teamRoutes } from "./admin-teams.ts";
import { makeKey, newKeySchema } from "./make-key.ts";

/**
 * Making, listing and revoking keys: `POST /keys`, `GET /keys`, `DELETE /keys/{id}`; and what `teamRoutes` has.
 *
 * @example
 * app.route("/admin", adminRoutes());
 */
export function adminRoutes(): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();
  app.use(administer);
  app.route("/", teamRoutes());

  app.post("/keys", async (c) => {
    const made = await makeKey(c.env, await readBody(c, newKeySchema));
    if (made === null) throw new Error("a random id came twice");
    // The only time that the key is seen: what is stored cannot be turned back into it.
    return c.json(made, 201, { "cache-control": "no-store" });
  });

  app.get("/keys", async (c) =>
    c.json({ keys: await c.env.keys.list() }, 200, { "cache-control": "no-store" }),
  );

  app.delete("/keys/:id", async (c) => {
    const revoked = await c.env.keys.revoke(c.req.param("id"));
    if (!revoked)
      throw new WireError("not_found", `there is no key ${c.req.param("id")} that is not revoked`);
    forgetCallers();
    return c.body(null, 204);
  });
  return app;
}
