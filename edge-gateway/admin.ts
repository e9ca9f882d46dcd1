import { WireError } from "@funmatch/wire";
import { Hono } from "hono";
import * as z from "zod";
import { administer, forgetCallers, type GatewayEnv, hashKey, newKey, TEAM } from "./auth.ts";
import { type KeyRecord, SCOPES } from "./platform.ts";
import { MODEL } from "./settings.ts";

const newKeySchema = z.strictObject({
  team: z.string().regex(TEAM, "must be 1 to 40 of a-z, 0-9 and -"),
  scopes: z.array(z.enum(SCOPES)).min(1),
  /** Left out: all models, also those that come later. */
  models: z.array(z.string().regex(MODEL, "must be the name of a model")).min(1).optional(),
  /** Left out: it opens doors until it is revoked. */
  expiresAt: z.iso
    .datetime({ offset: true, error: "must be a time such as 2027-01-31T12:00:00Z" })
    .refine((time) => Date.parse(time) > Date.now(), "must be in the future")
    .optional(),
});

/**
 * Making, listing and revoking keys: `POST /keys`, `GET /keys`, `DELETE /keys/{id}`.
 *
 * @example
 * app.route("/admin", adminRoutes());
 */
export function adminRoutes(): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();
  app.use(administer);

  app.post("/keys", async (c) => {
    const asked = newKeySchema.safeParse(await c.req.json().catch(() => undefined));
    if (!asked.success) throw new WireError("malformed", explain(asked.error));
    const { team, scopes, models, expiresAt } = asked.data;
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

function explain(error: z.ZodError): string {
  return error.issues.map(({ path, message }) => `${path.join(".") || "body"}: ${message}`).join("; ");
}
