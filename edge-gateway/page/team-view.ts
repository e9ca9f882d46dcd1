import { html } from "hono/html";
import type { Standing } from "../admin/teams.ts";
import type { KeyRecord } from "../platform.ts";
import type { UsageRow } from "../quota/usage-table.ts";
import { type Entered, newKeyForm, quotaForm } from "./admin-forms.ts";
import { keysView } from "./keys-view.ts";
import { layout } from "./layout.ts";
import type { Html } from "./plot.ts";
import { quotaView } from "./quota-view.ts";
import type { Period, Span } from "./series.ts";
import type { Viewer } from "./session.ts";
import { usageView } from "./usage-view.ts";

/** What is known of a team. */
export interface TeamState {
  standing: Standing;
  keys: KeyRecord[];
  usage: UsageRow[];
  period: Period;
  span: Span;
}

/** A team's page: its own, and the one on which an administrator changes it. */
export function teamView(o: {
  viewer: Viewer;
  path: string;
  state: TeamState;
  /** Whether the forms that change the team are there. */
  changes: boolean;
  done?: string | undefined;
  wrong?: string[];
  /** What a form that is shown again was filled in with. */
  entered?: Entered;
}): Html {
  const { standing, keys } = o.state;
  const { team } = standing;
  return layout(
    { title: `Team ${team}`, path: o.path, viewer: o.viewer, done: o.done, wrong: o.wrong ?? [] },
    html`${usageView(o.state, o.path)}
${quotaView(standing)}
${o.changes && quotaForm(standing, o.entered)}
${keysView(team, keys, o.changes)}
${o.changes && newKeyForm(team, o.entered)}`,
  );
}

/** The one page on which a new key stands. */
export function newKeyView(viewer: Viewer, made: KeyRecord & { key: string }): Html {
  return layout(
    { title: `A key for ${made.team}`, viewer },
    html`<div class="card">
<p class="notice" role="status">The key is made. This page is the only place where it is ever shown: copy it now, and give it to the team on a way that nobody else reads.</p>
<p id="new-key-label">Key ${made.id.slice(0, 8)}, for ${made.scopes.join(", ")}:</p>
<p><code class="key" aria-labelledby="new-key-label" role="textbox" aria-readonly="true" tabindex="0">${made.key}</code></p>
<p><a class="button" href="/page/teams/${made.team}">I have copied it: back to the team</a></p>
</div>`,
  );
}
