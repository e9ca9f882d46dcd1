import { WireError } from "@funmatch/wire";
import { Hono } from "hono";
import * as z from "zod";
import { administer, forgetCallers, type GatewayEnv, hashKey, newKey } from "../identity/auth.ts";
import { modelSchema, SCOPES, teamSchema } from "../names.ts";
import type { KeyRecord } from "../platform.ts";
import { readBody } from "./admin-body.ts";
import { teamRoutes } from "./admin-teams.ts";

const newKeySchema = z.strictObject({
  team: teamSchema,
  scopes: z.array(z.enum(SCOPES)).min(1),
  /** Left out: all models, also those that come later. */
  models: z.array(modelSchema).min(1).optional(),
  /** Left out: it opens doors until it is revoked. */
  expiresAt: z.iso
    .datetime({ offset: true, error: "must be a time such as 2027-01-31T12:00:00Z" })
    .refine((time) => Date.parse(time) > Date.now(), "must be in the future")
    .optional(),
});

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
    const { team, scopes, models, expiresAt } = await readBody(c, newKeySchema);
    const key = newKey(team);
    const record: KeyRecord = {
      id: crypto.randomUUID(),
      team,
      scopes,
      models: models ?? null,
      createdAt: new Date().toISOString(),
      revokedAt: null,
      expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
      lastUsedAt: null,
    };
    await c.env.keys.add(record, await hashKey(key, c.env.settings.keyPepper));
    // The only time that the key is seen: what is stored cannot be turned back into it.
    return c.json({ ...record, key }, 201, { "cache-control": "no-store" });
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
