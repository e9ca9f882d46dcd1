import type { Context } from "hono";
import { namesOf } from "../admin/teams.ts";
import type { GatewayEnv } from "../identity/auth.ts";
import type { Platform } from "../platform.ts";
import { totalsByModel } from "../quota/usage-totals.ts";
import { standing } from "../teachers/breaker.ts";
import { originsOf } from "../teachers/origin.ts";
import { countedHere } from "./counters.ts";
import { EXPOSITION_TYPE, exposition, type Family, type Sample } from "./exposition.ts";

/**
 * `GET /metrics`: what this process counted, how its teachers stand, and what each team used this month, which the
 * team's own table tells exactly.
 *
 * @example
 * app.get("/metrics", administer, tellMetrics);
 */
export async function tellMetrics(c: Context<GatewayEnv>): Promise<Response> {
  const families = [...countedHere(), ...teachers(c.env), ...(await usage(c.env, new Date()))];
  return c.body(exposition(families), 200, { "content-type": EXPOSITION_TYPE });
}

/** What this process knows of its teachers. */
function teachers({ settings }: Platform): Family[] {
  const now = Date.now();
  const known = originsOf(settings).map((origin) => ({ origin, labels: { teacher: origin.url } }));
  return [
    gauge(
      "teacher_closed",
      "1 while calls are sent to a teacher: its circuit breaker is closed",
      known.map(({ origin, labels }) => ({
        labels,
        value: Number(standing(origin.breaker, now) === "closed"),
      })),
    ),
    gauge(
      "teacher_calls_in_flight",
      "Logits calls that a teacher has not answered yet",
      known.map(({ origin, labels }) => ({ labels, value: origin.inFlight.sum() })),
    ),
    gauge(
      "teacher_looked_at_seconds",
      "Unix time of the last look at a teacher's cards; 0 if it is doubted",
      known.map(({ origin, labels }) => ({ labels, value: (origin.told?.at ?? 0) / 1000 })),
    ),
    gauge(
      "teacher_model",
      "1 for the state of each model when its teacher was last looked at",
      known.flatMap(({ origin, labels }) =>
        [...(origin.told?.cards.values() ?? [])].map(({ id, state }) => ({
          labels: { ...labels, model: id, state },
          value: 1,
        })),
      ),
    ),
  ];
}

/** The figures of the usage tables, each with what it counts. */
const USED = {
  calls: "Logits calls that were counted, a retry with its first",
  images: "Images that were counted",
  bytes: "Bytes of request bodies that were counted",
  hits: "Of the calls, those answered from the store",
  failures: "Calls that ended in an error and were given back",
} as const;

/** What the teams used since the month began, of all processes. Given-back calls are taken off: so these are gauges. */
async function usage(platform: Platform, now: Date): Promise<Family[]> {
  const from = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth())).toISOString();
  const to = new Date(now.getTime() + 3_600_000).toISOString();
  const ofTeams = (await namesOf(platform)).map(async (team) => {
    const rows = await platform.team(team).usage(from, to);
    return totalsByModel(rows).map(({ model, purpose, totals }) => ({
      labels: { team, model, purpose },
      used: totals,
    }));
  });
  const all = (await Promise.all(ofTeams)).flat();
  return Object.entries(USED).map(([figure, help]) =>
    gauge(
      `month_${figure}`,
      `${help}, since the month (UTC) began`,
      all.map(({ labels, used }) => ({
        labels,
        value: used[figure as keyof typeof USED],
      })),
    ),
  );
}

function gauge(name: string, help: string, samples: Sample[]): Family {
  return { name: `funmatch_gateway_${name}`, help, type: "gauge", samples };
}
