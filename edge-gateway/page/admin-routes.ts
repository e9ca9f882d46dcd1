import { WireError } from "@funmatch/wire";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import * as z from "zod";
import { makeKey } from "../admin/make-key.ts";
import { namesOf, requireTeam } from "../admin/teams.ts";
import { forgetCallers } from "../identity/auth.ts";
import { teamSchema } from "../names.ts";
import type { KeyRecord } from "../platform.ts";
import { totals } from "../quota/usage-totals.ts";
import type { Entered } from "./admin-forms.ts";
import { field, readForm } from "./form-body.ts";
import { readNewKey, readQuota } from "./form-fields.ts";
import { spanOf } from "./series.ts";
import { type PageEnv, viewerOf } from "./session.ts";
import { stateOf } from "./team-state.ts";
import { newKeyView, teamView } from "./team-view.ts";
import { type TeamLine, teamsView } from "./teams-view.ts";

/** What an administrator's pages do, under `/page/teams`: the same as `/admin`, by forms. */
export function teamAdminRoutes(): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  app.use(administer);

  app.get("/", async (c) => c.html(teamsView({ viewer: c.var.viewer, teams: await linesOf(c) })));

  app.post("/", async (c) => {
    const entered = field(await readForm(c), "team");
    const named = teamSchema.safeParse(entered);
    const wrong = named.success
      ? (await namesOf(c.env)).includes(named.data) && `There is a team ${named.data} already.`
      : "The name must be 1 to 40 of a–z, 0–9 and -.";
    if (wrong !== false) {
      const view = { viewer: c.var.viewer, teams: await linesOf(c), wrong: [wrong], entered };
      return c.html(teamsView(view), 400);
    }
    await c.env.keys.addTeam(entered);
    return c.redirect(`/page/teams/${entered}?done=team`, 303);
  });

  app.get("/:team", async (c) => answerTeam(c, await requireTeam(c.env, c.req.param("team"))));

  app.post("/:team/quota", async (c) => {
    const team = await requireTeam(c.env, c.req.param("team"));
    const values = await readForm(c);
    const read = readQuota(values);
    if ("wrong" in read)
      return answerTeam(c, team, { wrong: read.wrong, entered: { form: "quota", values } });
    await c.env.team(team).setQuota(read.asked);
    return c.redirect(`/page/teams/${team}?done=quota`, 303);
  });

  app.post("/:team/keys", async (c) => {
    const team = await requireTeam(c.env, c.req.param("team"));
    const values = await readForm(c);
    const read = readNewKey(team, values);
    if ("wrong" in read) return answerTeam(c, team, { wrong: read.wrong, entered: { form: "key", values } });
    const id = z.uuid().safeParse(field(values, "id"));
    if (!id.success) throw new WireError("malformed", "the form has no id; open it anew");
    const made = await makeKey(c.env, read.asked, id.data);
    if (made !== null) return c.html(newKeyView(c.var.viewer, made), 201);
    const wrong = [
      "This form was sent before, and its key was shown then. If it was not copied, revoke it and make another.",
    ];
    return answerTeam(c, team, { wrong });
  });

  app.post("/:team/keys/:id/revoke", async (c) => {
    const team = await requireTeam(c.env, c.req.param("team"));
    const id = c.req.param("id");
    const isTeams = (await c.env.keys.list(team)).some((key) => key.id === id);
    if (!isTeams || !(await c.env.keys.revoke(id)))
      throw new WireError("not_found", `the team ${team} has no such key that is not revoked`);
    forgetCallers();
    return c.redirect(`/page/teams/${team}?done=revoked`, 303);
  });
  return app;
}

/** Lets administrators past, sends those who are not signed in to where they can. */
const administer: MiddlewareHandler<PageEnv> = async (c, next) => {
  const viewer = await viewerOf(c);
  if (viewer === null) return c.redirect("/", 303);
  c.set("viewer", viewer);
  if (!viewer.admin)
    throw new WireError("forbidden", "your key may not administer: it lacks the scope admin");
  return next();
};

async function answerTeam(
  c: Context<PageEnv>,
  team: string,
  again: { wrong?: string[]; entered?: Entered } = {},
): Promise<Response> {
  const state = await stateOf(c, team);
  const frame = { viewer: c.var.viewer, path: `/page/teams/${team}`, done: c.req.query("done") };
  return c.html(teamView({ ...frame, state, changes: true, ...again }), again.wrong ? 400 : 200);
}

async function linesOf(c: Context<PageEnv>): Promise<TeamLine[]> {
  const { from, to } = spanOf("day", Date.now());
  const [teams, keys] = await Promise.all([namesOf(c.env), c.env.keys.list()]);
  const isGood = ({ revokedAt, expiresAt }: KeyRecord) =>
    revokedAt === null && (expiresAt === null || Date.parse(expiresAt) > Date.now());
  const good = Map.groupBy(keys.filter(isGood), ({ team }) => team);
  return Promise.all(
    teams.map(async (team) => {
      const store = c.env.team(team);
      const [usage, { policies }] = await Promise.all([
        store.usage(from, to),
        store.standing(c.env.settings.quota),
      ]);
      return { team, keys: good.get(team)?.length ?? 0, totals: totals(usage), policies };
    }),
  );
}
