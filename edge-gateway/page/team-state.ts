import type { Context } from "hono";
import { standing } from "../admin/teams.ts";
import { PERIODS, type Period, spanOf } from "./series.ts";
import type { PageEnv } from "./session.ts";
import type { TeamState } from "./team-view.ts";

/** What is known of a team, its usage of the period that the address names. */
export async function stateOf(c: Context<PageEnv>, team: string): Promise<TeamState> {
  const asked = c.req.query("period") as Period;
  const period = PERIODS.includes(asked) ? asked : "day";
  const span = spanOf(period, Date.now());
  const [stand, keys, usage] = await Promise.all([
    standing(c.env, team),
    c.env.keys.list(team),
    c.env.team(team).usage(span.from, span.to),
  ]);
  return { standing: stand, keys, usage, period, span };
}
