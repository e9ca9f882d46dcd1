import { html } from "hono/html";
import type { Policy } from "../quota/quota.ts";
import type { Totals } from "../quota/usage-totals.ts";
import { layout } from "./layout.ts";
import { compact, exact, percent } from "./numbers.ts";
import type { Html } from "./plot.ts";
import type { Viewer } from "./session.ts";

/** A team as the list of all shows it. */
export interface TeamLine {
  team: string;
  /** Keys that open the gateway now. */
  keys: number;
  /** Of the last 24 hours. */
  totals: Totals;
  policies: Policy[];
}

/** What an administrator sees first: all teams, and the form that makes one. */
export function teamsView(o: {
  viewer: Viewer;
  teams: TeamLine[];
  wrong?: string[];
  entered?: string;
}): Html {
  return layout(
    { title: "All teams", path: "/page/teams", viewer: o.viewer, wrong: o.wrong ?? [] },
    html`${o.teams.length === 0 ? html`<p class="empty">There is no team yet. Make the first one here.</p>` : list(o.teams)}
<section aria-labelledby="new-team"><h2 id="new-team">Make a team</h2>
<form class="card narrow" method="post" action="/page/teams">
<label for="team">Name</label>
<input id="team" name="team" required maxlength="40" pattern="[a-z0-9\\-]+" autocapitalize="none" autocomplete="off" spellcheck="false" value="${o.entered ?? ""}" aria-describedby="team-hint">
<p class="hint" id="team-hint">1 to 40 of a–z, 0–9 and -. It stands in the team's keys and is not changed later.</p>
<button>Make team</button>
</form></section>`,
  );
}

function list(teams: TeamLine[]): Html {
  return html`<div class="scroll" role="region" aria-label="All teams" tabindex="0"><table class="wide">
<caption>Calls of the last 24 hours</caption>
<thead><tr><th scope="col">Team</th><th scope="col" class="number">Keys</th><th scope="col" class="number">Calls</th>
<th scope="col" class="number">Images</th><th scope="col" class="number">From the store</th><th scope="col" class="number">Images left this month</th></tr></thead>
<tbody>${teams.map(
    ({ team, keys, totals, policies }) => html`<tr>
<th scope="row"><a href="/page/teams/${team}">${team}</a></th><td class="number">${exact(keys)}</td>
<td class="number">${exact(totals.calls)}</td><td class="number">${exact(totals.images)}</td>
<td class="number">${percent(totals.hits, totals.evaluations)}</td><td class="number">${left(policies)}</td></tr>`,
  )}</tbody></table></div>`;
}

function left(policies: Policy[]): string {
  const month = policies.find(({ name }) => name === "month");
  return month === undefined ? "no limit" : compact(Math.max(0, month.remaining));
}
