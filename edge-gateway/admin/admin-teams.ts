import { Hono } from "hono";
import * as z from "zod";
import type { GatewayEnv } from "../identity/auth.ts";
import { teamSchema } from "../names.ts";
import { periodOf } from "../quota/own-team.ts";
import { ownQuotaSchema } from "../quota/quota.ts";
import { readBody } from "./admin-body.ts";
import { namesOf, requireTeam, standing } from "./teams.ts";

export const newTeamSchema = z.strictObject({ team: teamSchema, quota: ownQuotaSchema.optional() });

/**
 * Teams, their quotas and what they used: `GET /teams`, `POST /teams`, `GET /teams/{team}/quota`,
 * `PUT /teams/{team}/quota`, `GET /usage`.
 *
 * @example
 * app.route("/", teamRoutes());
 */
export function teamRoutes(): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();

  app.get("/teams", async (c) => {
    const teams = await Promise.all((await namesOf(c.env)).map((team) => standing(c.env, team)));
    return c.json({ teams }, 200, { "cache-control": "no-store" });
  });

  app.post("/teams", async (c) => {
    const { team, quota } = await readBody(c, newTeamSchema);
    await c.env.keys.addTeam(team);
    if (quota !== undefined) await c.env.team(team).setQuota(quota);
    return c.json(await standing(c.env, team), 201);
  });

  app.get("/teams/:team/quota", async (c) =>
    c.json(await standing(c.env, await requireTeam(c.env, c.req.param("team")))),
  );

  app.put("/teams/:team/quota", async (c) => {
    const team = await requireTeam(c.env, c.req.param("team"));
    await c.env.team(team).setQuota(await readBody(c, ownQuotaSchema));
    return c.json(await standing(c.env, team));
  });

  app.get("/usage", async (c) => {
    const { from, to } = periodOf(c);
    const ofEach = (await namesOf(c.env)).map(async (team) =>
      (await c.env.team(team).usage(from, to)).map((row) => ({ team, ...row })),
    );
    return c.json({ from, to, usage: (await Promise.all(ofEach)).flat() }, 200, {
      "cache-control": "no-store",
    });
  });
  return app;
}
